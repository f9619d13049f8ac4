import { expect, test } from 'vitest'
import type { FrameFilter } from '../../src/frames/bpf.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { type IdRange, NumberSet } from '../../src/frames/number-set.ts'
import { FanOut } from '../../src/pipeline/fan-out.ts'
import { attach as attachNoRoom } from '../../src/pipeline/no-room.ts'
import { SinkCounters } from '../../src/telemetry/counters.ts'
import { attach, nothingCollected } from './collecting-sink.ts'

let ids = 0
function outlet(wanted?: readonly IdRange[], filter?: FrameFilter) {
  const collected = nothingCollected()
  const counters = new SinkCounters()
  return {
    id: ids++,
    collected,
    counters,
    sent: new SinkCounters(),
    sink: attach(collected, counters),
    wanted: wanted && new NumberSet(wanted),
    filter,
  }
}

function batchOf(...tunnelIds: number[]): FrameBatch {
  const batch = new FrameBatch(new SharedArrayBuffer(64), 8)
  batch.tunnelId.set(tunnelIds)
  batch.count = tunnelIds.length
  return batch
}

test('every sink sees every frame in order, or those that it selects', () => {
  const all = outlet()
  const some = outlet([{ from: 2, to: 3, deny: false }])
  const none = outlet([{ from: 99, to: 99, deny: false }])
  const fanOut = new FanOut([all, some, none], 8)
  fanOut.write(batchOf(1, 2, 3, 2))
  fanOut.write(batchOf(3, 1))
  const seen = [all, some, none].map(({ collected }) => collected.frames.map(({ tunnelId }) => tunnelId))
  expect(seen).toEqual([[1, 2, 3, 2, 3, 1], [2, 3, 2, 3], []])
  expect([all, some, none].map(({ counters }) => counters.dropped())).toEqual([
    {},
    { 'not-selected': 2 },
    { 'not-selected': 6 },
  ])
  for (const { counters } of [all, some, none]) expect(counters.balance()).toBe(0)
})

test('a sink with a filter sees the frames that it takes, of those whose tunnel it wants', () => {
  const long: FrameFilter = (_bytes, _offset, _captured, wireLength) => wireLength > 100
  const filtered = outlet(undefined, long)
  const both = outlet([{ from: 1, to: 2, deny: false }], long)
  const batch = batchOf(1, 2, 3, 1)
  batch.wireLength.set([60, 101, 1500, 500])
  new FanOut([filtered, both], 8).write(batch)
  const seen = [filtered, both].map(({ collected }) => collected.frames.map(({ tunnelId }) => tunnelId))
  expect(seen).toEqual([
    [2, 3, 1],
    [2, 1],
  ])
  expect([filtered, both].map(({ counters }) => counters.dropped()['not-selected'])).toEqual([1, 2])
  for (const { counters } of [filtered, both]) expect(counters.balance()).toBe(0)
})

test('a full batch reaches a sink that selects and one that does not', () => {
  const all = outlet()
  const some = outlet([{ from: 0, to: 10, deny: false }])
  new FanOut([all, some], 8).write(batchOf(1, 2, 3, 4, 5, 6, 7, 8))
  expect([all, some].map(({ collected }) => collected.frames.length)).toEqual([8, 8])
})

test('every sink is flushed and closed', () => {
  const outlets = [outlet(), outlet()]
  const fanOut = new FanOut(outlets, 8)
  fanOut.flush()
  fanOut.flush()
  fanOut.close()
  expect(outlets.map(({ collected }) => [collected.flushes, collected.closes])).toEqual([
    [2, 1],
    [2, 1],
  ])
})

test('an outlet that is replaced is closed and sees nothing more, one that stays goes on, and one that comes sees what follows', () => {
  const [stays, goes, comes] = [outlet(), outlet(), outlet()] as const
  const fanOut = new FanOut([goes, stays], 8)
  fanOut.write(batchOf(1))
  fanOut.replace([{ ...stays, wanted: new NumberSet([{ from: 2, to: 2, deny: false }]) }, comes])
  fanOut.write(batchOf(2, 3))
  const seen = [stays, goes, comes].map(({ collected }) => collected.frames.map(({ tunnelId }) => tunnelId))
  expect(seen).toEqual([[1, 2], [1], [2, 3]])
  expect([stays, goes, comes].map(({ collected }) => collected.closes)).toEqual([0, 1, 0])
  expect([stays, goes, comes].map(({ counters }) => counters.offered)).toEqual([3, 1, 2])
})

test('a sink without room loses what it selects, and sees what follows once it has some, with the same counters', () => {
  const late = outlet([{ from: 2, to: 3, deny: false }])
  const fanOut = new FanOut([{ ...late, sink: attachNoRoom(undefined, late.counters) }], 8)
  fanOut.write(batchOf(1, 2, 3))
  expect(late.counters.dropped()).toEqual({ 'not-selected': 1, 'sink-overflow': 2 })
  fanOut.refit({ ...late, wanted: undefined })
  fanOut.refit(outlet())
  fanOut.write(batchOf(1, 2))
  expect(late.collected.frames.map(({ tunnelId }) => tunnelId)).toEqual([2])
  expect(late.counters.dropped()).toEqual({ 'not-selected': 2, 'sink-overflow': 2 })
  expect([late.counters.offered, late.counters.balance()]).toEqual([5, 0])
})
