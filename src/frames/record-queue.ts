import { Bell, createBell } from './bell.ts'

/**
 * A bounded queue of bytes between one thread that fills it and one that empties it, in shared memory.
 *
 * The producer writes records straight into the ring (which lies in the worker's slab, so that frames get there by one
 * copy within it) and groups them into segments: records of one series that lie side by side. The consumer sees whole
 * segments. Neither side ever waits for a lock; a sleeping consumer is woken only when it says that it sleeps.
 */
export interface RecordQueueWiring {
  /** Where in the slab the ring is. */
  readonly byteOffset: number
  readonly byteLength: number
  readonly control: SharedArrayBuffer
  /** What the consumer sleeps on; it may be the same for all queues that one thread empties. */
  readonly bell: SharedArrayBuffer
}

/** A segment grows until this, so that the consumer can start while the producer goes on. */
const SEGMENT_BYTES = 1 << 20
/** As much of the ring as a core's cache may hold. */
const HOT_BYTES = 2 << 20
/**
 * Where tunnels alternate, each frame may be a segment of its own: so many of them a burst may have, whatever its bytes.
 * With 4096 a 16 MiB queue overflowed after 1 MiB.
 */
const SEGMENTS = 65_536
/** So many may be small, for a consumer in a hurry; beyond, they grow, so that as much as can be waits for a reader that stops. */
const SMALL_SEGMENTS = 1024
const SEGMENT_WORDS = 5
const START = 0
const END = 1
const FRAMES = 2
const LAST_SECOND = 3
const SERIES = 4

/** Control words. Segment counts run freely and wrap at 2^32; an index into the ring is a count modulo SEGMENTS. */
const PUBLISHED = 0
const CONSUMED = 1
/** Ring offset behind the last byte that the consumer gave back. */
const BYTE_TAIL = 2
const STATE = 4
const OPEN = 0
const CLOSED = 1
const ABANDONED = 2
const CONTROL_WORDS = 16
const CONTROL_BYTES = 4 * (CONTROL_WORDS + SEGMENTS * SEGMENT_WORDS)

/**
 * Of queues that are over, for those that come. V8 does not count shared memory when it decides whether to collect: where workers die or
 * sinks change, 1.3 MiB a lane would pile up (seen: 60 MiB).
 */
const spares: SharedArrayBuffer[] = []

/** The slab's bytes [byteOffset, byteOffset + byteLength) become the ring. */
export function createRecordQueue(
  byteOffset: number,
  byteLength: number,
  bell: SharedArrayBuffer = createBell(),
): RecordQueueWiring {
  const control = spares.pop() ?? new SharedArrayBuffer(CONTROL_BYTES)
  return { byteOffset, byteLength, control, bell }
}

/** In the thread that created it: neither end uses it any more. */
export function recycleRecordQueue({ control }: RecordQueueWiring): void {
  new Int32Array(control, 0, CONTROL_WORDS).fill(0)
  spares.push(control)
}

/** Ends a queue from any thread: `closed` = no record follows; `abandoned` = nobody takes any more out. */
export function closeRecordQueue(wiring: RecordQueueWiring, state: 'closed' | 'abandoned'): void {
  const control = new Int32Array(wiring.control, 0, CONTROL_WORDS)
  // Whichever end comes first stays.
  Atomics.compareExchange(control, STATE, OPEN, state === 'closed' ? CLOSED : ABANDONED)
  new Bell(wiring.bell).ring()
  Atomics.notify(control, CONSUMED)
}

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

/** The end that segments come out of. The fields describe the segment that take() found; its bytes are borrowed until release(). */
export class RecordConsumer {
  readonly bytes: Uint8Array
  start = 0
  end = 0
  frames = 0
  lastSecond = 0
  series = 0

  readonly #control: Int32Array
  readonly #segments: Uint32Array
  readonly #base: number
  #taken = 0

  /** `bytes`: the slab. */
  constructor(wiring: RecordQueueWiring, bytes: Uint8Array) {
    this.bytes = bytes
    this.#control = new Int32Array(wiring.control, 0, CONTROL_WORDS)
    this.#segments = new Uint32Array(wiring.control, 4 * CONTROL_WORDS)
    this.#base = wiring.byteOffset
  }

  /** Nothing is there to be taken. */
  isEmpty(): boolean {
    return Atomics.load(this.#control, PUBLISHED) === (this.#taken | 0)
  }

  /** The latest second in the segment that take() would find; only where there is one. */
  nextSecond(): number {
    return this.#segments[(this.#taken % SEGMENTS) * SEGMENT_WORDS + LAST_SECOND]!
  }

  /** Takes the next segment; false when there is none. */
  take(): boolean {
    if (this.isEmpty()) return false
    const at = (this.#taken % SEGMENTS) * SEGMENT_WORDS
    this.start = this.#segments[at + START]!
    this.end = this.#segments[at + END]!
    this.frames = this.#segments[at + FRAMES]!
    this.lastSecond = this.#segments[at + LAST_SECOND]!
    this.series = this.#segments[at + SERIES]!
    this.#taken = (this.#taken + 1) >>> 0
    return true
  }

  /** Gives back the memory of every segment taken so far. */
  release(): void {
    Atomics.store(this.#control, BYTE_TAIL, this.end - this.#base)
    Atomics.store(this.#control, CONSUMED, this.#taken | 0)
    Atomics.notify(this.#control, CONSUMED)
  }

  /** The producer has closed its end; segments may still be waiting. */
  closed(): boolean {
    return Atomics.load(this.#control, STATE) !== OPEN
  }
}
