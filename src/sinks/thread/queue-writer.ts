import type { FrameBatch } from '../../frames/frame-batch.ts'
import { RecordProducer } from '../../frames/record-queue.ts'
import type { SinkCounters } from '../../telemetry/counters.ts'
import type { FrameSink } from '../sink.ts'
import type { Lane } from './wiring.ts'

/** How long to wait at a time for the sending thread to make room, where frames wait rather than get lost. */
const WAIT_MS = 100

/** How a frame becomes a record of the queue. Stateless. */
export interface RecordLayout {
  /** Bytes of a record in front of its frame. */
  readonly headerBytes: number
  /** Length of a whole record that keeps `captured` bytes, with padding and trailer. */
  recordBytes(captured: number): number
  /** Writes all of a record but its frame, which is copied to `at + headerBytes`. Allocates nothing. */
  writeRecord(view: DataView, at: number, batch: FrameBatch, row: number, series: number): void
}

/** Numbers the frames' series; segments of the queue hold records of one series each. */
export interface SeriesNumbers {
  indexOf(encapsulation: number, tunnelId: number, linkType: number): number
  /** A frame of the series was offered, and maybe lost. */
  count(series: number, lost: boolean): void
}

/** The half in the pipeline of a sink with a thread of its own: lays the frames out as records in the queue to it. */
export class QueueWriter implements FrameSink {
  readonly #producer: RecordProducer
  readonly #layout: RecordLayout
  readonly #series: SeriesNumbers | undefined
  readonly #counters: SinkCounters
  readonly #blocks: boolean
  readonly #prompt: boolean

  constructor(lane: Lane<unknown>, counters: SinkCounters, layout: RecordLayout, series?: SeriesNumbers) {
    this.#producer = new RecordProducer(lane.queue)
    this.#layout = layout
    this.#series = series
    this.#counters = counters
    this.#blocks = lane.overflow === 'block'
    this.#prompt = lane.prompt
  }

  write(batch: FrameBatch, rows: Uint16Array, count: number): void {
    let lost = 0
    for (let i = 0; i < count; i++) if (!this.#append(batch, rows[i]!)) lost++
    if (lost > 0) this.#counters.addOverflow(lost)
    if (this.#prompt && this.#producer.consumerSleeps()) this.#producer.publish()
  }

  flush(): void {
    this.#producer.publish()
  }

  close(): void {
    this.#producer.close()
  }

  /** False when the queue has no room for the frame. */
  #append(batch: FrameBatch, row: number): boolean {
    const captured = batch.captured[row]!
    const size = this.#layout.recordBytes(captured)
    const series =
      this.#series === undefined
        ? 0
        : this.#series.indexOf(batch.encapsulation[row]!, batch.tunnelId[row]!, batch.linkType[row]!)
    let at = this.#producer.reserve(size, series)
    if (at < 0 && this.#blocks) at = this.#waitForRoom(size, series)
    this.#series?.count(series, at < 0)
    if (at < 0) return false
    this.#layout.writeRecord(batch.view, at, batch, row, series)
    batch.copy(at + this.#layout.headerBytes, batch.offset[row]!, captured)
    this.#producer.commit(size, batch.seconds[row]!)
    return true
  }

  #waitForRoom(size: number, series: number): number {
    this.#producer.publish()
    for (;;) {
      const at = this.#producer.reserve(size, series)
      if (at >= 0 || this.#producer.abandoned()) return at
      this.#producer.waitForRoom(WAIT_MS)
    }
  }
}
