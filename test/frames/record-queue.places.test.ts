import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecordConsumer } from '../../src/frames/record-consumer.ts'
import { RecordProducer } from '../../src/frames/record-producer.ts'
import { createRecordQueue } from '../../src/frames/record-queue.ts'

const MIB = 1 << 20

/** Both ends of a ring whose memory nobody touches, so that it may be as large as one likes. */
function ends(bytes: number): { producer: RecordProducer; consumer: RecordConsumer } {
  const wiring = createRecordQueue(0, bytes)
  return { producer: new RecordProducer(wiring), consumer: new RecordConsumer(wiring, new Uint8Array(0)) }
}

/** Takes up to `segments` of them and gives all that was taken back; how many frames those held. */
function consume(consumer: RecordConsumer, segments: number): number {
  let frames = 0
  for (let i = 0; i < segments && consumer.take(); i++) frames += consumer.frames
  if (frames > 0) consumer.release()
  return frames
}

test('no record gets a place that another still needs, however far the consumer lags', () => {
  const step = fc.record({ kib: fc.integer({ min: 1, max: 300 }), take: fc.integer({ min: -6, max: 1 }) })
  // A consumer that keeps up for a while, and then takes little or nothing.
  const keen = fc.record({ kib: fc.integer({ min: 1, max: 300 }), take: fc.integer({ min: -1, max: 2 }) })
  const phases = fc.array(fc.oneof(fc.array(step, { maxLength: 120 }), fc.array(keen, { maxLength: 60 })), {
    minLength: 3,
    maxLength: 8,
  })
  fc.assert(
    fc.property(
      phases.map((lists) => lists.flat()),
      (steps) => {
        const { producer, consumer } = ends(8 * MIB)
        const needed: { start: number; end: number }[] = []
        for (const { kib, take } of steps) {
          const start = producer.reserve(kib * 1024, 0)
          if (start >= 0) {
            const end = start + kib * 1024
            expect(end).toBeLessThanOrEqual(8 * MIB)
            expect(needed.filter((other) => start < other.end && other.start < end)).toEqual([])
            needed.push({ start, end })
            producer.commit(kib * 1024, 1, 0, 0)
          }
          needed.splice(0, consume(consumer, take))
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('a consumer that kept up and then stands still finds the whole ring used', () => {
  const { producer, consumer } = ends(32 * MIB)
  const put = () => {
    const start = producer.reserve(MIB / 4, 0)
    if (start >= 0) producer.commit(MIB / 4, 1, 0, 0)
    return start
  }
  for (let i = 0; i < 4 * 3; i++) put()
  producer.publish()
  expect(consume(consumer, 2)).toBe(8)
  let held = 4
  while (put() >= 0) held++
  // Of 128 places those that the consumer's own segment and the end keep.
  expect(held).toBeGreaterThan(120)
  producer.publish()
  expect(consume(consumer, 1000)).toBe(held)
  expect(put()).toBe(0)
})

test('a ring above 2 GiB refuses what would overwrite records that wait', () => {
  const { producer, consumer } = ends(3072 * MIB)
  const put = () => {
    const start = producer.reserve(256 * MIB, 0)
    if (start >= 0) producer.commit(256 * MIB, 1, 0, 0)
    producer.publish()
    return start / MIB
  }
  expect(Array.from({ length: 10 }, put)).toEqual([0, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304])
  expect(consume(consumer, 4)).toBe(4)
  // 1 GiB has come back in front; the head never catches up with the tail.
  expect([put(), put(), put()]).toEqual([0, 256, 512])
  expect(consume(consumer, 5)).toBe(5)
  // The tenth record, at 2304 MiB, still waits.
  expect(Array.from({ length: 7 }, put)).toEqual([768, 1024, 1280, 1536, 1792, 2560, -1 / MIB])
})
