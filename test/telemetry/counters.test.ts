import { expect, test } from 'vitest'
import { PipelineCounters, SinkCounters } from '../../src/telemetry/counters.ts'
import { SinkAccount } from '../../src/telemetry/sink-account.ts'
import { BAD_FLAGS, FRAGMENT_INCOMPLETE, SHORT_HEADER, VERDICTS } from '../../src/wire/verdict.ts'

test('a pipeline that has seen nothing has nothing to tell', () => {
  const counters = new PipelineCounters()
  expect([counters.received, counters.delivered, counters.kernelDropped, counters.balance()]).toEqual([0, 0, 0, 0])
  expect(counters.dropped()).toEqual({})
})

test('every verdict is counted under its word, and no other', () => {
  for (let verdict = 1; verdict < VERDICTS.length; verdict++) {
    const counters = new PipelineCounters()
    counters.addReceived(3)
    counters.addVerdict(verdict, 3)
    expect(counters.dropped()).toEqual({ [VERDICTS[verdict]!]: 3 })
    expect([counters.received, counters.delivered, counters.kernelDropped, counters.balance()]).toEqual([3, 0, 0, 0])
  }
})

test('the balance is what was received and has come to no end', () => {
  const counters = new PipelineCounters()
  counters.addReceived(10)
  counters.addVerdict(SHORT_HEADER, 1)
  counters.addVerdict(BAD_FLAGS, 2)
  counters.addVerdict(FRAGMENT_INCOMPLETE, 0)
  counters.addDelivered(3)
  counters.held = 2
  expect(counters.balance()).toBe(2)
  counters.addDelivered(2)
  expect(counters.balance()).toBe(0)
  expect(counters.dropped()).toEqual({ 'short-header': 1, 'bad-flags': 2 })
})

test('what the kernel dropped stands beside the balance', () => {
  const counters = new PipelineCounters()
  counters.kernelDropped = 1000
  counters.kernelDropped = 1200
  expect([counters.kernelDropped, counters.balance()]).toEqual([1200, 0])
})

test('counts stay exact far beyond 32 bits', () => {
  const counters = new PipelineCounters()
  for (const frames of [2 ** 52, 1, 1, 1]) counters.addReceived(frames)
  expect(counters.received).toBe(2 ** 52 + 3)
})

test('another thread reads the same numbers from the same memory', () => {
  const counters = new PipelineCounters()
  counters.addReceived(5)
  counters.addDelivered(4)
  counters.addVerdict(BAD_FLAGS, 1)
  const other = new PipelineCounters(counters.memory)
  expect([other.received, other.delivered, other.dropped()]).toEqual([5, 4, { 'bad-flags': 1 }])
  const sink = new SinkCounters()
  sink.setSent(7, 700, 0)
  expect([new SinkCounters(sink.memory).written, new SinkCounters(sink.memory).bytes]).toEqual([7, 700])
})

test('a sink counts each frame that it was offered once', () => {
  const counters = new SinkCounters()
  counters.addOffered(20)
  counters.addNotSelected(5)
  counters.addOverflow(3)
  expect(counters.balance()).toBe(12)
  counters.setSent(6, 600, 1)
  counters.setSent(10, 1000, 2)
  expect([counters.written, counters.bytes, counters.balance()]).toEqual([10, 1000, 0])
  expect(counters.dropped()).toEqual({ 'not-selected': 5, 'sink-overflow': 3, 'sink-error': 2 })
})

test('what a sink that is gone still had counts as failed, once', () => {
  const account = new SinkAccount()
  account.addLane().addOffered(6)
  account.addLane().addOffered(4)
  account.sent.setSent(4, 400, 1)
  account.failRest()
  account.failRest()
  expect([account.total.dropped(), account.total.balance()]).toEqual([{ 'sink-error': 6 }, 0])
})

test('the counts of a lane that has ended stay, and are counted once', () => {
  const account = new SinkAccount()
  const lane = account.addLane()
  lane.addOffered(6)
  lane.addOverflow(1)
  lane.addLost(2)
  account.endLane(lane)
  account.endLane(lane)
  account.addLane().addOffered(1)
  account.sent.setSent(4, 400, 0)
  expect(account.total.dropped()).toEqual({ 'sink-overflow': 1, 'worker-died': 2 })
  expect(account.total.balance()).toBe(0)
})

test('pipelines that are counted together keep their own counts', () => {
  const parts = [1, 2].map((frames) => {
    const counters = new PipelineCounters()
    counters.addReceived(10 * frames)
    counters.addDelivered(frames)
    counters.addVerdict(BAD_FLAGS, 9 * frames)
    counters.kernelDropped = frames
    return counters
  })
  const sum = PipelineCounters.sum(parts)
  expect([sum.received, sum.delivered, sum.dropped(), sum.kernelDropped]).toEqual([30, 3, { 'bad-flags': 27 }, 3])
  expect([sum.balance(), parts[0]!.received]).toEqual([0, 10])
})
