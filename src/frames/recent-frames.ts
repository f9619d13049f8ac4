/** Fingerprints that share a place in the table: 64 bytes, a cache line. */
const WAYS = 4
/** An entry: two halves of the fingerprint, then the time as a double. */
const ENTRY_BYTES = 16
const ENTRY_WORDS = 4
const ENTRY_DOUBLES = 2
const ENTRY_TIME = 1
/**
 * The place follows from the lowest bits of a fingerprint, so its first entry need not keep the lowest two: they say there
 * which entry is the next to give way.
 */
const NEXT_MASK = 3
/** glibc lays large memory out 16 bytes behind a page's start: so far behind that a cache line begins. Else it does no harm. */
const UNTIL_LINE_BYTES = 48
/**
 * The table has room for so many frames a second, twice over, within these bounds: 256 KiB to 64 MiB. A table for twice as
 * many leaves the processor's cache: 130 ns a frame become 180 (measured). When more frames come, those that were kept
 * first are forgotten first: at the far end of the window, where copies are rarest.
 */
const FRAMES_PER_SECOND = 500_000
const FEWEST_ENTRIES = 2 ** 14
const MOST_ENTRIES = 2 ** 22
const MICROSECONDS = 1_000_000

/** The longest window there can be: an entry that was never written is older than that at every time. */
export const LONGEST_WINDOW_MS = 10_000

/**
 * Fingerprints of the frames that were kept within a window of time: a set-associative table of fixed size. Where a place
 * is full, the frame that was kept first is forgotten.
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
    const memory = new ArrayBuffer(UNTIL_LINE_BYTES + entries * ENTRY_BYTES)
    this.#words = new Int32Array(memory, UNTIL_LINE_BYTES)
    this.#times = new Float64Array(memory, UNTIL_LINE_BYTES)
    this.#placeMask = entries / WAYS - 1
  }

  /**
   * Whether a frame of this fingerprint was kept within the window, before this one or after it by its time; else it is
   * kept now. The window runs from the frame that was kept: what is sent again and again is kept once in each.
   */
  hasOrAdd(low: number, high: number, seconds: number, nanoseconds: number): boolean {
    const time = (seconds + 2 * (LONGEST_WINDOW_MS / 1000)) * MICROSECONDS + Math.floor(nanoseconds / 1000)
    const words = this.#words
    const times = this.#times
    const place = (low & this.#placeMask) * WAYS
    const firstWord = words[place * ENTRY_WORDS]!
    for (let entry = place; entry < place + WAYS; entry++) {
      const isAlike = ((words[entry * ENTRY_WORDS]! ^ low) & ~NEXT_MASK) === 0
      if (!isAlike || words[entry * ENTRY_WORDS + 1] !== high) continue
      if (Math.abs(time - times[entry * ENTRY_DOUBLES + ENTRY_TIME]!) <= this.#window) return true
    }
    const next = firstWord & NEXT_MASK
    const entry = place + next
    if (Math.abs(time - times[entry * ENTRY_DOUBLES + ENTRY_TIME]!) <= this.#window) this.forgotten++
    words[entry * ENTRY_WORDS] = low
    words[entry * ENTRY_WORDS + 1] = high
    times[entry * ENTRY_DOUBLES + ENTRY_TIME] = time
    words[place * ENTRY_WORDS] = (words[place * ENTRY_WORDS]! & ~NEXT_MASK) | ((next + 1) & NEXT_MASK)
    return false
  }
}
