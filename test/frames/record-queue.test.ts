import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { closeRecordQueue, recycleRecordQueue } from '../../src/frames/record-queue.ts'
import { Queue } from './queue.ts'

test('records come out as segments, in order, with what is said of them', () => {
  const queue = new Queue(1000)
  queue.put(1, 20, 7, 1002)
  queue.put(2, 30, 7, 1001)
  queue.put(3, 8, 7, 1003)
  expect(queue.take()).toBeUndefined()
  queue.producer.publish()
  expect(queue.take()).toEqual({
    records: ['1/20', '2/30', '3/8'],
    frames: 3,
    series: 7,
    lastSecond: 1003,
  })
  expect(queue.take()).toBeUndefined()
})

test('a segment holds records of one series', () => {
  const queue = new Queue(1000)
  for (const [i, series] of [1, 1, 2, 1].entries()) queue.put(i, 10, series, i)
  queue.producer.publish()
  const segments = [queue.take(), queue.take(), queue.take()]
  expect(segments.map((segment) => [segment?.series, segment?.records])).toEqual([
    [1, ['0/10', '1/10']],
    [2, ['2/10']],
    [1, ['3/10']],
  ])
})

test('publishing nothing is no segment', () => {
  const queue = new Queue(1000)
  queue.producer.publish()
  queue.producer.reserve(100, 0)
  queue.producer.publish()
  expect(queue.take()).toBeUndefined()
})

test('a consumer gets to work on a long series before its producer pauses', () => {
  const queue = new Queue(4 << 20)
  let written = 0
  while (queue.take() === undefined) expect(queue.put(written++, 1000)).toBe(true)
  expect(written).toBeLessThan((1 << 20) / 1000 + 2)
})

test('a full queue refuses records, and takes them again when room was given back', () => {
  const queue = new Queue(1000)
  expect(Array.from({ length: 11 }, (_, i) => queue.put(i, 100))).toEqual([...new Array(9).fill(true), false, false])
  expect(queue.put(9, 99)).toBe(true)
  queue.producer.publish()
  expect(queue.drain().length).toBe(10)
  expect(queue.put(10, 100)).toBe(true)
})

test('a full queue lets its consumer work, so that there is room again soon', () => {
  const queue = new Queue(1000)
  for (let i = 0; i < 9; i++) queue.put(i, 100)
  expect(queue.put(9, 100)).toBe(false)
  expect(queue.drain().length).toBe(9)
  expect(queue.put(9, 100)).toBe(true)
})

test('memory that was taken but not given back is not written to', () => {
  const queue = new Queue(1000)
  for (let i = 0; i < 9; i++) queue.put(i, 100)
  queue.producer.publish()
  expect(queue.take()?.records.length).toBe(9)
  expect(queue.put(9, 100)).toBe(false)
  queue.consumer.release()
  expect(queue.put(9, 100)).toBe(true)
})

test('a record goes on at the start of the ring when its end has no room', () => {
  const queue = new Queue(1000)
  for (let i = 0; i < 4; i++) {
    queue.put(i, 200)
    queue.producer.publish()
  }
  expect(queue.take()?.records).toEqual(['0/200'])
  expect(queue.take()?.records).toEqual(['1/200'])
  queue.consumer.release()
  expect(queue.put(4, 300)).toBe(true)
  expect(queue.put(5, 200)).toBe(false)
  queue.producer.publish()
  expect(queue.drain()).toEqual(['2/200', '3/200', '4/300'])
  expect(queue.isSoundAround()).toBe(true)
})

test('a record larger than the ring never fits, one as large as it can hold does', () => {
  const queue = new Queue(1000)
  expect(queue.put(0, 1001)).toBe(false)
  expect(queue.put(0, 1000)).toBe(false)
  expect(queue.put(0, 999)).toBe(true)
  queue.producer.publish()
  expect(queue.drain()).toEqual(['0/999'])
  expect(queue.put(1, 999)).toBe(true)
})

test('the number of segments is bounded: a sender who changes its VNI with each frame fills the queue', () => {
  const queue = new Queue(1 << 20)
  let written = 0
  while (queue.put(written, 8, written)) written++
  expect(written).toBeLessThan(100_000)
  queue.producer.publish()
  expect(queue.drain().length).toBe(written)
  expect(queue.put(written, 8, written)).toBe(true)
})

test('closing publishes what was written, and what is in the queue can be taken out', () => {
  const queue = new Queue(1000)
  queue.put(1, 100)
  expect(queue.consumer.closed()).toBe(false)
  queue.producer.close()
  expect(queue.consumer.closed()).toBe(true)
  expect(queue.producer.abandoned()).toBe(false)
  expect(queue.drain()).toEqual(['1/100'])
})

test('whichever end comes first stays', () => {
  const abandoned = new Queue(1000)
  closeRecordQueue(abandoned.wiring, 'abandoned')
  closeRecordQueue(abandoned.wiring, 'closed')
  expect([abandoned.producer.abandoned(), abandoned.consumer.closed()]).toEqual([true, true])
  const closed = new Queue(1000)
  closeRecordQueue(closed.wiring, 'closed')
  closeRecordQueue(closed.wiring, 'abandoned')
  expect([closed.producer.abandoned(), closed.consumer.closed()]).toEqual([false, true])
})

test('waiting ends at its deadline, and at once when there is nothing to wait for', () => {
  const queue = new Queue(1000)
  const took = (wait: () => void): number => {
    const started = performance.now()
    wait()
    return performance.now() - started
  }
  expect(took(() => queue.wait(50))).toBeGreaterThanOrEqual(49)
  expect(took(() => queue.producer.waitForRoom(10_000))).toBeLessThan(5000)
  queue.put(1, 100)
  queue.producer.publish()
  expect(took(() => queue.producer.waitForRoom(50))).toBeGreaterThanOrEqual(49)
  expect(took(() => queue.wait(10_000))).toBeLessThan(5000)
  expect(queue.consumerSleeps).toBe(false)
  queue.drain()
  queue.producer.close()
  expect(took(() => queue.wait(10_000))).toBeLessThan(5000)
})

type Step =
  | { readonly kind: 'put'; readonly length: number; readonly series: number }
  | { readonly kind: 'publish' | 'take' | 'release' }

const put = fc.record({
  kind: fc.constant('put' as const),
  length: fc.oneof(fc.integer({ min: 8, max: 60 }), fc.integer({ min: 8, max: 500 })),
  series: fc.nat(1),
})
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: put },
  { weight: 2, arbitrary: fc.constantFrom<Step>({ kind: 'publish' }, { kind: 'take' }, { kind: 'release' }) },
)

test('whatever producer and consumer do by turns, a plain array would hold the same', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 64, max: 700 }), (steps, ringBytes) => {
      const queue = new Queue(ringBytes)
      const model: string[] = []
      const found: string[] = []
      let taken = 0
      for (const [number, each] of steps.entries()) {
        if (each.kind === 'put') {
          if (queue.put(number, each.length, each.series)) model.push(`${number}/${each.length}`)
        } else if (each.kind === 'publish') queue.producer.publish()
        else if (each.kind === 'take') {
          const records = queue.take()?.records
          found.push(...(records ?? []))
          taken += records === undefined ? 0 : 1
        } else if (taken > 0) {
          queue.consumer.release()
          taken = 0
        }
        expect(found).toEqual(model.slice(0, found.length))
      }
      queue.producer.close()
      found.push(...queue.drain())
      expect(found).toEqual(model)
      expect(queue.isSoundAround()).toBe(true)
      if (found.length > 0) queue.consumer.release()
      expect(queue.put(0, ringBytes - 1)).toBe(true)
    }),
    { numRuns: 400 },
  )
})

test('there is room as long as reserve() would find it, and again when the consumer has given some back', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 8, max: 300 }), fc.boolean()), { maxLength: 60 }), (turns) => {
      const queue = new Queue(1000)
      turns.forEach(([bytes, empties], i) => {
        const hasRoom = queue.producer.hasRoomFor(bytes)
        if (hasRoom) expect(queue.put(i, bytes)).toBe(true)
        if (empties) {
          queue.producer.publish()
          queue.drain()
        }
      })
    }),
  )
  const queue = new Queue(1000)
  while (queue.put(1, 100));
  expect(queue.producer.hasRoomFor(100)).toBe(false)
  queue.drain()
  expect(queue.producer.hasRoomFor(100)).toBe(true)
})

test('a consumer keeps up until a thousand segments wait for it', () => {
  const queue = new Queue(100_000)
  for (let i = 0; i < 1024; i++) {
    expect(queue.producer.consumerKeepsUp()).toBe(true)
    queue.put(i, 8)
    queue.producer.publish()
  }
  expect(queue.producer.consumerKeepsUp()).toBe(false)
  queue.take()
  queue.consumer.release()
  expect(queue.producer.consumerKeepsUp()).toBe(true)
})

test('a consumer that waits in its event loop is woken by what is published, and by the end', async () => {
  const queue = new Queue(1000)
  let turns = 0
  const alive = setInterval(() => turns++, 1)
  try {
    const waited = queue.waitInEventLoop(20_000)
    expect(queue.consumerSleeps).toBe(true)
    while (turns === 0) await setImmediate()
    queue.put(1, 100)
    queue.producer.publish()
    await waited
    expect([queue.consumerSleeps, queue.drain()]).toEqual([false, ['1/100']])
    const ended = queue.waitInEventLoop(20_000)
    queue.producer.close()
    await ended
    await queue.waitInEventLoop(20_000)
    expect(queue.consumer.closed()).toBe(true)
  } finally {
    clearInterval(alive)
  }
})

test('a queue that is over lends its control words to the next, which begins as any other', () => {
  const first = new Queue(1000)
  for (let i = 0; i < 30; i++) first.put(i, 20)
  first.producer.close()
  while (first.take() !== undefined);
  recycleRecordQueue(first.wiring)
  const second = new Queue(1000)
  expect(second.wiring.control).toBe(first.wiring.control)
  expect([second.consumer.closed(), second.take()]).toEqual([false, undefined])
  second.put(7, 20, 3, 9)
  second.producer.publish()
  expect(second.take()).toEqual({ records: ['7/20'], frames: 1, series: 3, lastSecond: 9 })
  expect(new Queue(1000).wiring.control).not.toBe(second.wiring.control)
})
