import type { FrameBatch } from '../../frames/frame-batch.ts'
import { RecordProducer } from '../../frames/record-producer.ts'
import type { SinkCounters } from '../../telemetry/counters.ts'
import type { FrameSink } from '../sink.ts'
import { DirectWrites } from './direct-writes.ts'
import type { Lane } from './wiring.ts'

/** How long to wait at a time for the sending thread to make room, where frames wait rather than get lost. */
const WAIT_MS = 100

/** How a frame becomes a record of the queue. Stateless. */
export interface RecordLayout {
  /** Bytes of a record in front of its frame. */
  readonly headerBytes: number
  /** Length of a whole record that keeps `captured` bytes, with padding and trailer. */
  recordBytes(captured: number): number
  /** Where records are pcap's (draft-ietf-opsawg-pcap section 5): nanoseconds in the unit of their fraction. Absent = they are others. */
  readonly pcapUnit?: number
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
  readonly isWatched: boolean
  readonly #producer: RecordProducer
  readonly #layout: RecordLayout
  readonly #series: SeriesNumbers | undefined
  readonly #counters: SinkCounters
  readonly #blocks: boolean
  readonly #queueBytes: number
  readonly #direct: DirectWrites | undefined

  constructor(lane: Lane<unknown>, counters: SinkCounters, layout: RecordLayout, series?: SeriesNumbers) {
    this.#producer = new RecordProducer(lane.queue)
    this.#layout = layout
    this.#series = series
    this.#counters = counters
    this.#blocks = lane.overflow === 'block'
    this.#queueBytes = lane.queue.byteLength
    this.isWatched = lane.prompt
    if (lane.loan !== undefined) this.#direct = new DirectWrites(this.#producer, lane.loan)
  }

  write(batch: FrameBatch, rows: Uint16Array, count: number): void {
    let lost = 0
    for (let i = 0; i < count; ) {
      const appended = this.#append(batch, rows, i, count)
      if (appended === 0) lost++
      i += Math.max(1, appended)
    }
    if (lost > 0) this.#counters.addOverflow(lost)
    if (this.isWatched && this.#producer.consumerKeepsUp()) this.#producer.publish()
  }

  /** True also where there is nothing to wait for: nobody takes any more out, or so much would never fit beside what is there. */
  hasRoomFor(bytes: number): boolean {
    if (this.#blocks || 4 * bytes > this.#queueBytes) return true
    return this.#producer.hasRoomFor(bytes) || this.#producer.abandoned()
  }

  waitForRoom(milliseconds: number): void {
    this.#producer.publish()
    this.#producer.waitForRoom(milliseconds)
  }

  writeHere(bytes: Uint8Array, isAll: boolean): void {
    this.#direct?.write(bytes, isAll)
  }

  flush(): void {
    this.#producer.publish()
  }

  close(): void {
    this.#producer.close()
  }

  /** Appends the frames of one series as far as there is room beside each other. Returns how many: 0 when the first finds none. */
  #append(batch: FrameBatch, rows: Uint16Array, from: number, count: number): number {
    const series = this.#seriesOf(batch, rows[from]!)
    const size = this.#layout.recordBytes(batch.captured[rows[from]!]!)
    let start = this.#producer.reserve(size, series)
    if (start < 0 && this.#blocks) start = this.#reserveLater(size, series)
    if (start < 0) {
      this.#series?.count(series, true)
      return 0
    }
    const { loops } = batch
    const { pcapUnit } = this.#layout
    if (loops === undefined || pcapUnit === undefined || this.#series !== undefined) {
      return this.#lay(batch, rows, from, count, start, series)
    }
    const end = loops.layRecords(batch, rows, from, count, pcapUnit, start, this.#producer.limit)
    this.#producer.commit(loops.recordsEnd - start, end - from, loops.firstSecond, loops.lastSecond)
    return end - from
  }

  /** Lays out the records from `start` on. Returns how many. */
  #lay(batch: FrameBatch, rows: Uint16Array, from: number, count: number, start: number, series: number): number {
    const { captured, offset, seconds, view, copy } = batch
    const layout = this.#layout
    const { headerBytes } = layout
    const limit = this.#producer.limit
    let at = start
    let firstSecond = seconds[rows[from]!]!
    let lastSecond = firstSecond
    let i = from
    for (; i < count; i++) {
      const row = rows[i]!
      const end = at + layout.recordBytes(captured[row]!)
      if (i > from && (end > limit || (this.#series !== undefined && this.#seriesOf(batch, row) !== series))) break
      layout.writeRecord(view, at, batch, row, series)
      copy(at + headerBytes, offset[row]!, captured[row]!)
      const second = seconds[row]!
      if (second > lastSecond) lastSecond = second
      else if (second < firstSecond) firstSecond = second
      this.#series?.count(series, false)
      at = end
    }
    this.#producer.commit(at - start, i - from, firstSecond, lastSecond)
    return i - from
  }

  #seriesOf(batch: FrameBatch, row: number): number {
    if (this.#series === undefined) return 0
    return this.#series.indexOf(batch.encapsulation[row]!, batch.tunnelId[row]!, batch.linkType[row]!)
  }

  #reserveLater(size: number, series: number): number {
    this.#producer.publish()
    for (;;) {
      const at = this.#producer.reserve(size, series)
      if (at >= 0 || this.#producer.abandoned()) return at
      this.#producer.waitForRoom(WAIT_MS)
    }
  }
}
