/** Words of the memory: frames that may still be claimed, and frames delivered; then of each worker its claim, and what it had delivered before. */
const LEFT = 0
const DONE = 1
const FIRST_WORKER = 2
const WORDS_EACH = 2

/**
 * What `--count` still asks for, shared by the workers: each claims rows before it receives, and gives back those that
 * brought no frame. So no frame too many is ever received, however the workers divide them.
 */
export class FrameBudget {
  readonly #words: BigInt64Array
  readonly #claim: number
  readonly #before: number

  static allocate(count: number, workers: number): SharedArrayBuffer {
    const words = new BigInt64Array(new SharedArrayBuffer(8 * (FIRST_WORKER + WORDS_EACH * workers)))
    words[LEFT] = BigInt(count)
    return words.buffer as SharedArrayBuffer
  }

  constructor(memory: SharedArrayBuffer, worker: number) {
    this.#words = new BigInt64Array(memory)
    this.#claim = FIRST_WORKER + WORDS_EACH * worker
    this.#before = this.#claim + 1
  }

  /** All of `total` frames have been delivered. */
  isSpent(total: number): boolean {
    return Atomics.load(this.#words, DONE) >= BigInt(total)
  }

  /** Rows that may be received now, at most `most`; 0 while others hold what is left. `delivered`: by this worker so far. */
  claim(most: number, delivered: number): number {
    for (;;) {
      const left = Atomics.load(this.#words, LEFT)
      const rows = left < BigInt(most) ? left : BigInt(most)
      if (Atomics.compareExchange(this.#words, LEFT, left, left - rows) !== left) continue
      this.#words[this.#claim] = rows
      this.#words[this.#before] = BigInt(delivered)
      return Number(rows)
    }
  }

  /** What the claim was for is over, also because its worker died. */
  settle(delivered: number): void {
    const used = BigInt(delivered) - this.#words[this.#before]!
    const claim = this.#words[this.#claim]!
    if (claim === 0n) return
    this.#words[this.#claim] = 0n
    Atomics.add(this.#words, LEFT, claim - used)
    Atomics.add(this.#words, DONE, used)
  }
}
