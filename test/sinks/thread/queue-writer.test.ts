import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameBatch } from '../../../src/frames/frame-batch.ts'
import { RecordConsumer } from '../../../src/frames/record-consumer.ts'
import { createRecordQueue } from '../../../src/frames/record-queue.ts'
import { PcapFormat } from '../../../src/pcap-writer/pcap-format.ts'
import { QueueWriter } from '../../../src/sinks/thread/queue-writer.ts'
import type { Lane } from '../../../src/sinks/thread/wiring.ts'
import { SinkCounters } from '../../../src/telemetry/counters.ts'
import { loopMemory } from '../../support/loop-memory.ts'

const ROWS = 16
const SPACING = 512
const QUEUE_AT = ROWS * SPACING
const QUEUE_BYTES = 4096

/** A queue, and what comes out of it, with loops or without. */
class WriterCase {
  readonly counters: SinkCounters = new SinkCounters()
  readonly #batch: FrameBatch
  readonly #rows: Uint16Array
  readonly #writer: QueueWriter
  readonly #consumer: RecordConsumer

  constructor(hasLoops: boolean, precision: 'ns' | 'us') {
    const { memory, loops } = loopMemory(QUEUE_AT + QUEUE_BYTES)
    this.#batch = new FrameBatch(memory, ROWS, hasLoops ? { loops } : {})
    this.#rows = this.#batch.room.uint16(ROWS)
    const queue = createRecordQueue(QUEUE_AT, QUEUE_BYTES)
    const lane = { queue, overflow: 'drop', prompt: false, loan: undefined } as Partial<Lane<unknown>> as Lane<unknown>
    this.#writer = new QueueWriter(lane, this.counters, new PcapFormat({ precision }))
    this.#consumer = new RecordConsumer(queue, this.#batch.bytes)
  }

  write(frames: readonly Frame[]): void {
    const { bytes, offset, captured, wireLength, seconds, nanoseconds } = this.#batch
    frames.forEach((frame, row) => {
      bytes.fill(frame.content, row * SPACING, row * SPACING + frame.captured)
      offset[row] = row * SPACING
      captured[row] = frame.captured
      wireLength[row] = frame.captured + frame.missing
      seconds[row] = frame.second
      nanoseconds[row] = frame.nanosecond
    })
    const chosen = [...frames.keys()].filter((row) => frames[row]!.isChosen)
    this.#rows.set(chosen)
    this.#writer.write(this.#batch, this.#rows, chosen.length)
    this.#writer.flush()
    bytes.fill(0xa5, 0, QUEUE_AT)
  }

  /** Everything that is in the queue. */
  take(): unknown[] {
    const segments: unknown[] = []
    while (this.#consumer.take()) {
      const { bytes, start, end, frames, lastSecond } = this.#consumer
      segments.push([start, frames, lastSecond, Buffer.from(bytes.slice(start, end)).toString('hex')])
      this.#consumer.release()
    }
    return segments
  }
}

interface Frame {
  readonly content: number
  readonly captured: number
  readonly missing: number
  readonly second: number
  readonly nanosecond: number
  readonly isChosen: boolean
}

const frame: fc.Arbitrary<Frame> = fc.record({
  content: fc.nat(255),
  captured: fc.oneof(fc.nat(SPACING), fc.constantFrom(0, 1, 60)),
  missing: fc.nat(2000),
  second: fc.oneof(fc.constantFrom(0, 1000, 1001, 0xffff_ffff), fc.nat(0xffff_ffff)),
  nanosecond: fc.oneof(fc.constantFrom(0, 999, 1000, 999_999_999), fc.nat(999_999_999)),
  isChosen: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
})

describe.each(['ns', 'us'] as const)('records of pcap in %s', (precision) => {
  it('are the same by the loop and by JavaScript, in the same places, and as many are lost where the queue is full', () => {
    let [lost, written] = [0, 0]
    const step = fc.record({
      frames: fc.array(frame, { minLength: 1, maxLength: ROWS }),
      isTaken: fc.nat(3).map((n) => n === 0),
    })
    fc.assert(
      fc.property(fc.array(step, { minLength: 8, maxLength: 24 }), (steps) => {
        const cases = [true, false].map((hasLoops) => new WriterCase(hasLoops, precision))
        for (const { frames, isTaken } of steps) {
          for (const one of cases) one.write(frames)
          if (!isTaken) continue
          const [mine, theirs] = cases.map((one) => one.take())
          expect(mine).toEqual(theirs)
          written += mine!.length
        }
        expect(cases[0]!.take()).toEqual(cases[1]!.take())
        expect(cases[0]!.counters.overflow).toBe(cases[1]!.counters.overflow)
        lost += cases[0]!.counters.overflow
      }),
      { numRuns: 60 },
    )
    expect([lost > 100, written > 100]).toEqual([true, true])
  })
})
