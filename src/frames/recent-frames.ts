/** Fingerprints that share a place in the table: 64 bytes, a cache line. */
const WAYS = 4
/** An entry: two halves of the fingerprint, then the time as a double. */
const ENTRY_BYTES = 16
const ENTRY_WORDS = 4
const ENTRY_DOUBLES = 2
const ENTRY_TIME = 1
/**
 * The table has room for so many frames a second, twice over, within these bounds: 256 KiB to 64 MiB. A table for twice as
 * many leaves the processor's cache: 130 ns a frame become 180 (measured). When more frames come, those at the far end of
 * the window are forgotten first, where copies are rarest.
 */
const FRAMES_PER_SECOND = 500_000
const FEWEST_ENTRIES = 2 ** 14
const MOST_ENTRIES = 2 ** 22
const MICROSECONDS = 1_000_000

/** The longest window there can be: an entry that was never written is older than that at every time. */
export const LONGEST_WINDOW_MS = 10_000

/**
 * Fingerprints of the frames that were kept within a window of time: a set-associative table of fixed size. Where a place
 * is full, the frame that is furthest away in time is forgotten.
 */
export class RecentFrames {
  /** Frames that were forgotten inside the window: a copy of one of them would have been kept. */
  forgotten = 0
  readonly #window: number
  readonly #words: Int32Array
  readonly #times: Float64Array
  readonly #placeMask: number

  /** `windowMs`: up to LONGEST_WINDOW_MS. */
  constructor(windowMs: number) {
    this.#window = windowMs * 1000
    const wanted = 2 * FRAMES_PER_SECOND * (windowMs / 1000)
    const entries = Math.min(MOST_ENTRIES, Math.max(FEWEST_ENTRIES, 2 ** Math.ceil(Math.log2(wanted))))
    const memory = new ArrayBuffer(entries * ENTRY_BYTES)
    this.#words = new Int32Array(memory)
    this.#times = new Float64Array(memory)
    this.#placeMask = entries / WAYS - 1
  }

  /**
   * Whether a frame of this fingerprint was kept within the window, before this one or after it by its time; else it is
   * kept now. The window runs from the frame that was kept: what is sent again and again is kept once in each.
   */
  hasOrAdd(low: number, high: number, seconds: number, nanoseconds: number): boolean {
    const time = (seconds + 2 * (LONGEST_WINDOW_MS / 1000)) * MICROSECONDS + Math.floor(nanoseconds / 1000)
    const first = (low & this.#placeMask) * WAYS
    let furthest = first
    let distance = -1
    for (let entry = first; entry < first + WAYS; entry++) {
      const away = Math.abs(time - this.#times[entry * ENTRY_DOUBLES + ENTRY_TIME]!)
      if (away > distance) {
        distance = away
        furthest = entry
      }
      if (away > this.#window) continue
      if (this.#words[entry * ENTRY_WORDS] === low && this.#words[entry * ENTRY_WORDS + 1] === high) return true
    }
    if (distance <= this.#window) this.forgotten++
    this.#words[furthest * ENTRY_WORDS] = low
    this.#words[furthest * ENTRY_WORDS + 1] = high
    this.#times[furthest * ENTRY_DOUBLES + ENTRY_TIME] = time
    return false
  }
}
