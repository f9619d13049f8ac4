import {
  BYTE_TAIL,
  CONSUMED,
  CONTROL_WORDS,
  END,
  FRAMES,
  LAST_SECOND,
  OPEN,
  PUBLISHED,
  type RecordQueueWiring,
  SEGMENT_WORDS,
  SEGMENTS,
  SERIES,
  START,
  STATE,
} from './record-queue.ts'

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
