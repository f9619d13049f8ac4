const SLOTS_PER_ID = 2

/**
 * Frames by tunnel identifier, in memory that any thread may read while one writes.
 *
 * Bounded: identifiers beyond `capacity` are counted together, so that a sender who tries all 16 million VNIs costs
 * a fixed table. Doubles count exactly up to 2^53.
 */
export class TunnelCounts {
  readonly #capacity: number
  readonly #keys: Uint32Array
  readonly #counts: Float64Array
  /** [0] identifiers in the table */
  readonly #state: Uint32Array

  static bytesFor(capacity: number): number {
    return 8 + 8 * (capacity * SLOTS_PER_ID + 1) + 4 * capacity * SLOTS_PER_ID
  }

  constructor(memory: SharedArrayBuffer, capacity: number) {
    const slots = capacity * SLOTS_PER_ID
    this.#capacity = capacity
    this.#state = new Uint32Array(memory, 0, 2)
    // The last count is that of all identifiers that found no room.
    this.#counts = new Float64Array(memory, 8, slots + 1)
    this.#keys = new Uint32Array(memory, 8 + 8 * (slots + 1), slots)
  }

  /** One frame for each of the first `count` identifiers. Neighbours that are alike are added at once: each addition waits for the one before. */
  add(ids: Uint32Array, count: number): void {
    for (let row = 0; row < count; ) {
      const id = ids[row]!
      const first = row
      while (++row < count && ids[row] === id);
      this.#counts[this.#slotOf(id)]! += row - first
    }
  }

  /** Identifier -> frames, in ascending order; what found no room as `other`. */
  toObject(): Record<string, number> {
    const rows: [number, number][] = []
    for (let slot = 0; slot < this.#keys.length; slot++) {
      if (this.#counts[slot]! > 0) rows.push([this.#keys[slot]!, this.#counts[slot]!])
    }
    rows.sort((a, b) => a[0] - b[0])
    const result: Record<string, number> = Object.fromEntries(rows)
    const other = this.#counts[this.#keys.length]!
    if (other > 0) result.other = other
    return result
  }

  #slotOf(id: number): number {
    const slots = this.#keys.length
    let slot = (Math.imul(id, 0x9e3779b1) >>> 0) % slots
    while (this.#counts[slot] !== 0) {
      if (this.#keys[slot] === id) return slot
      slot = slot + 1 === slots ? 0 : slot + 1
    }
    if (this.#state[0]! >= this.#capacity) return slots
    this.#state[0]! += 1
    this.#keys[slot] = id
    return slot
  }
}
