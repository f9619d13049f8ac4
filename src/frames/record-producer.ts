import { Bell } from './bell.ts'
import {
  ABANDONED,
  BYTE_TAIL,
  CONSUMED,
  CONTROL_WORDS,
  closeRecordQueue,
  END,
  FRAMES,
  LAST_SECOND,
  PUBLISHED,
  type RecordQueueWiring,
  SEGMENT_WORDS,
  SEGMENTS,
  SERIES,
  START,
  STATE,
} from './record-queue.ts'

/** A segment grows until this, so that the consumer can start while the producer goes on. */
const SEGMENT_BYTES = 1 << 20
/** As much of the ring as a core's cache may hold. */
const HOT_BYTES = 2 << 20
/** So many may be small, for a consumer in a hurry; beyond, they grow, so that as much as can be waits for a reader that stops. */
const SMALL_SEGMENTS = 1024

/** Records that lie beside each other in the slab. */
export interface OpenSegment {
  readonly start: number
  readonly bytes: number
  readonly frames: number
  readonly firstSecond: number
  readonly lastSecond: number
}

/** The end that records go into. */
export class RecordProducer {
  readonly #wiring: RecordQueueWiring
  readonly #control: Int32Array
  readonly #bell: Bell
  readonly #segments: Uint32Array
  readonly #base: number
  readonly #size: number
  #head = 0
  /** The tail as last seen; behind the consumer's, so there is at least the room that it tells. An atomic load costs 45 ns. */
  #tail = 0
  #segmentStart = 0
  #frames = 0
  #firstSecond = 0
  #lastSecond = 0
  #series = 0
  #published = 0
  /** Where records ended when the head last went back: from there to the ring's end nothing is in use. -1: no such place. */
  #resume = -1
  /** Segments that had been published when the head jumped there: until they are consumed, the ring's start is in use. -1: none. */
  #jumpedAt = -1

  constructor(wiring: RecordQueueWiring) {
    this.#wiring = wiring
    this.#control = new Int32Array(wiring.control, 0, CONTROL_WORDS)
    this.#bell = new Bell(wiring.bell)
    this.#segments = new Uint32Array(wiring.control, 4 * CONTROL_WORDS)
    this.#base = wiring.byteOffset
    this.#size = wiring.byteLength
  }

  /** Where in the slab the next record of `bytes` bytes may be written, or -1 when there is no room now. */
  reserve(bytes: number, series: number): number {
    if (this.#frames > 0 && (series !== this.#series || this.#head - this.#segmentStart + bytes > SEGMENT_BYTES)) {
      this.publish()
    }
    if (this.#frames === 0 && !this.#beginSegment(series)) return -1
    if (!this.#fits(bytes)) {
      this.#tail = Atomics.load(this.#control, BYTE_TAIL) >>> 0
      if (!this.#fits(bytes) && !this.#wrap(bytes, series) && !this.#jump(bytes, series)) {
        // In a small ring all of it may be one segment: unseen, it would keep the ring full until the next flush.
        this.publish()
        return -1
      }
    }
    return this.#base + this.#head
  }

  /** Behind the place that reserve() gave, as far as is known without asking: where records of the same series may end. */
  get limit(): number {
    const end = Math.min(this.#segmentStart + SEGMENT_BYTES, (this.#head >= this.#tail ? this.#size : this.#tail) - 1)
    return this.#base + end
  }

  /** Records from the place that reserve() gave on, of frames that arrived in those seconds, are written. */
  commit(bytes: number, frames: number, firstSecond: number, lastSecond: number): void {
    this.#head += bytes
    if (this.#frames === 0 || firstSecond < this.#firstSecond) this.#firstSecond = firstSecond
    if (this.#frames === 0 || lastSecond > this.#lastSecond) this.#lastSecond = lastSecond
    this.#frames += frames
  }

  /** Hands what was committed to the consumer. */
  publish(): void {
    if (this.#frames === 0) return
    const at = (this.#published % SEGMENTS) * SEGMENT_WORDS
    this.#segments[at + START] = this.#base + this.#segmentStart
    this.#segments[at + END] = this.#base + this.#head
    this.#segments[at + FRAMES] = this.#frames
    this.#segments[at + LAST_SECOND] = this.#lastSecond
    this.#segments[at + SERIES] = this.#series
    this.#frames = 0
    this.#published = (this.#published + 1) >>> 0
    Atomics.store(this.#control, PUBLISHED, this.#published | 0)
    if (this.#bell.hasSleeper()) this.#bell.ring()
  }

  /** What was committed and not published, if a consumer that is there has taken all else; undefined = nothing that may go another way. */
  unpublished(): OpenSegment | undefined {
    if (this.#frames === 0 || Atomics.load(this.#control, CONSUMED) !== (this.#published | 0)) return undefined
    if (this.abandoned()) return undefined
    return {
      start: this.#base + this.#segmentStart,
      bytes: this.#head - this.#segmentStart,
      frames: this.#frames,
      firstSecond: this.#firstSecond,
      lastSecond: this.#lastSecond,
    }
  }

  /** What unpublished() told of has gone another way: its memory is free. */
  forget(): void {
    this.#frames = 0
    this.#rewind()
  }

  /** Whether the consumer is not far behind: what it may have at once is best published now, in a small segment. */
  consumerKeepsUp(): boolean {
    return (this.#published - Atomics.load(this.#control, CONSUMED)) >>> 0 < SMALL_SEGMENTS
  }

  /** Whether records of so many bytes find room now. */
  hasRoomFor(bytes: number): boolean {
    if (this.#fits(bytes)) return true
    this.#tail = Atomics.load(this.#control, BYTE_TAIL) >>> 0
    return this.#fits(bytes) || (this.#head >= this.#tail && bytes < this.#tail)
  }

  /** Waits until the consumer gives something back, at most `milliseconds`. */
  waitForRoom(milliseconds: number): void {
    const consumed = Atomics.load(this.#control, CONSUMED)
    if (consumed === (this.#published | 0)) return
    Atomics.wait(this.#control, CONSUMED, consumed, milliseconds)
  }

  /** No record follows. */
  close(): void {
    this.publish()
    closeRecordQueue(this.#wiring, 'closed')
  }

  /** Nobody takes any more out: what is in the queue stays there. */
  abandoned(): boolean {
    return Atomics.load(this.#control, STATE) === ABANDONED
  }

  /** Behind the head, as far as is known. The head never catches up with the tail: equal means empty. */
  #fits(bytes: number): boolean {
    return this.#head + bytes < (this.#head >= this.#tail ? this.#size : this.#tail)
  }

  /** Goes on at the ring's start, if there is room. */
  #wrap(bytes: number, series: number): boolean {
    if (this.#head < this.#tail || bytes >= this.#tail || this.#isHeldBack()) return false
    this.publish()
    if (!this.#beginSegment(series)) return false
    this.#head = 0
    this.#segmentStart = 0
    this.#resume = -1
    return true
  }

  /**
   * The consumer, which kept up when the head went back, does not any more: goes on behind the records that it was at then,
   * or the queue would hold no more than it had given back by then, a mere 2 MiB.
   */
  #jump(bytes: number, series: number): boolean {
    // A head before the tail has passed none of those records.
    if (this.#resume < 0 || this.#head >= this.#tail || this.#resume + bytes >= this.#size) return false
    this.publish()
    if ((this.#published - Atomics.load(this.#control, CONSUMED)) >>> 0 >= SEGMENTS) return false
    this.#head = this.#resume
    this.#segmentStart = this.#resume
    this.#series = series
    this.#jumpedAt = this.#published
    this.#resume = -1
    return true
  }

  /** Asked after the tail was loaded: the consumer gives back bytes first, then tells how many segments they were. */
  #isHeldBack(): boolean {
    if (this.#jumpedAt < 0) return false
    if (((Atomics.load(this.#control, CONSUMED) - this.#jumpedAt) | 0) < 0) return true
    this.#jumpedAt = -1
    return false
  }

  #beginSegment(series: number): boolean {
    const waiting = (this.#published - Atomics.load(this.#control, CONSUMED)) >>> 0
    if (waiting >= SEGMENTS) return false
    if (waiting === 0) this.#rewind()
    else if (this.#head > HOT_BYTES) this.#goBack()
    this.#segmentStart = this.#head
    this.#series = series
    return true
  }

  /** The consumer keeps up: goes on at the ring's start, which has come back, rather than in memory that is not in the cache. */
  #goBack(): void {
    this.#tail = Atomics.load(this.#control, BYTE_TAIL) >>> 0
    if (this.#head < this.#tail || this.#tail <= HOT_BYTES / 2 || this.#isHeldBack()) return
    this.#resume = this.#head
    this.#head = 0
  }

  /** Everything has come back, so the consumer leaves the tail alone: start over with memory that is still in the cache. */
  #rewind(): void {
    this.#head = 0
    this.#tail = 0
    this.#resume = -1
    this.#jumpedAt = -1
    Atomics.store(this.#control, BYTE_TAIL, 0)
  }
}
