/** Numbers that a seed determines: xorshift32 (Marsaglia 2003), scrambled so that neighbouring seeds part at once. */
export class Random {
  #state: number

  constructor(seed: number, stream: number = 0) {
    let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(stream + 1, 0xc2b2ae35)
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d)
    this.#state = state === 0 ? 1 : state
  }

  /** 32 bits, not zero. */
  next(): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return state >>> 0
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    return Math.floor((this.next() / 2 ** 32) * end)
  }

  /** True once in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0
  }

  pick<Item>(items: ArrayLike<Item>): Item {
    return items[this.below(items.length)]!
  }
}
