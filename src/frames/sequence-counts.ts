/** Sequence numbers behind the highest one that are still told apart, each by a bit. A power of two. */
const WINDOW = 1024
const WINDOW_WORDS = WINDOW / 32
/** A larger step ahead is not a loss but another count: a mirror that began anew. */
const LARGEST_GAP = 2 ** 24
/** Cisco Nexus 3548 counts in 30 bits. */
const SHORT_RANGE = 2 ** 30
const SHORT_MASK = SHORT_RANGE - 1

/** Doubles of a session. */
const LOST = 0
const REORDERED = 1
const DUPLICATED = 2
const RESTARTS = 3
const COUNTS = 4

/** Behind the first sequence number of a session; a step of the restart's proof. */
const NONE = -1

export interface SequenceCount {
  /** Numbers that never came, as far as that is known. */
  readonly lost: number
  /** Came behind higher ones, within the window. */
  readonly reordered: number
  /** Came again. */
  readonly duplicated: number
  /** How often the count began anew. */
  readonly restarts: number
}

/**
 * What the sequence numbers of sessions tell of frames that were lost on their way here.
 *
 * A number ahead opens a gap of lost ones; one from behind closes its part of it again. As in RFC 3550 appendix A.1, a
 * number that is far off means a restart only if the next one follows it: one stray packet proves nothing.
 */
export class SequenceCounts {
  readonly #counts: Float64Array
  readonly #highest: Float64Array
  /** The number that would follow one that was far off. */
  readonly #next: Float64Array
  /** Bit n % WINDOW: number n has come. */
  readonly #seen: Int32Array

  static bytesFor(capacity: number): number {
    return capacity * COUNTS * Float64Array.BYTES_PER_ELEMENT
  }

  constructor(memory: SharedArrayBuffer, capacity: number) {
    this.#counts = new Float64Array(memory, 0, capacity * COUNTS)
    this.#highest = new Float64Array(capacity).fill(NONE)
    this.#next = new Float64Array(capacity).fill(NONE)
    this.#seen = new Int32Array(capacity * WINDOW_WORDS)
  }

  /** `sequence`: 0 to 2^32 - 1. */
  add(session: number, sequence: number): void {
    const highest = this.#highest[session]!
    const ahead = distance(highest, sequence)
    if (highest === NONE) this.#begin(session, sequence)
    else if (ahead > 0 && ahead <= LARGEST_GAP) this.#advance(session, sequence, ahead)
    else if (distance(sequence, highest) < WINDOW) this.#late(session, sequence)
    else if (sequence === this.#next[session]) {
      this.#counts[session * COUNTS + RESTARTS]! += 1
      this.#begin(session, sequence)
      // The one that was taken for a stray.
      this.#mark(session, sequence - 1)
    } else this.#next[session] = (sequence + 1) >>> 0
  }

  of(session: number): SequenceCount {
    const at = session * COUNTS
    return {
      lost: this.#counts[at + LOST]!,
      reordered: this.#counts[at + REORDERED]!,
      duplicated: this.#counts[at + DUPLICATED]!,
      restarts: this.#counts[at + RESTARTS]!,
    }
  }

  /** What came before the first number is not known: it counts as seen, so that stragglers close no gap. */
  #begin(session: number, sequence: number): void {
    this.#highest[session] = sequence
    this.#next[session] = NONE
    this.#seen.fill(-1, session * WINDOW_WORDS, (session + 1) * WINDOW_WORDS)
  }

  #advance(session: number, sequence: number, ahead: number): void {
    const missing = Math.min(ahead - 1, WINDOW)
    for (let back = 1; back <= missing; back++) this.#clear(session, sequence - back)
    this.#mark(session, sequence)
    if (ahead > 1) this.#counts[session * COUNTS + LOST]! += ahead - 1
    this.#highest[session] = sequence
    this.#next[session] = NONE
  }

  #late(session: number, sequence: number): void {
    const at = session * COUNTS
    if (this.#has(session, sequence)) {
      this.#counts[at + DUPLICATED]! += 1
      return
    }
    this.#mark(session, sequence)
    this.#counts[at + LOST]! -= 1
    this.#counts[at + REORDERED]! += 1
  }

  #has(session: number, sequence: number): boolean {
    return (this.#seen[wordOf(session, sequence)]! & (1 << (sequence & 31))) !== 0
  }

  #mark(session: number, sequence: number): void {
    this.#seen[wordOf(session, sequence)]! |= 1 << (sequence & 31)
  }

  #clear(session: number, sequence: number): void {
    this.#seen[wordOf(session, sequence)]! &= ~(1 << (sequence & 31))
  }
}

function wordOf(session: number, sequence: number): number {
  return session * WINDOW_WORDS + ((sequence & (WINDOW - 1)) >>> 5)
}

/** Steps from `from` up to `to`, around the end of 32 bits, or of 30 where that is a short way over their end. */
function distance(from: number, to: number): number {
  const steps = (to - from) >>> 0
  if (steps <= LARGEST_GAP || from >= SHORT_RANGE || to >= SHORT_RANGE || to >= from) return steps
  const short = (to - from) & SHORT_MASK
  return short <= LARGEST_GAP ? short : steps
}
