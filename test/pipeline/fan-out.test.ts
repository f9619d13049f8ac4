import { expect, test } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { type IdRange, NumberSet } from '../../src/frames/number-set.ts'
import { FanOut } from '../../src/pipeline/fan-out.ts'
import { SinkCounters } from '../../src/telemetry/counters.ts'
import { attach, nothingCollected } from './collecting-sink.ts'

function outlet(wanted?: readonly IdRange[]) {
  const collected = nothingCollected()
  const counters = new SinkCounters()
  return { collected, counters, sink: attach(collected, counters), wanted: wanted && new NumberSet(wanted) }
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
