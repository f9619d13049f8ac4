import { ENCAPSULATIONS } from '../../wire/registry.ts'

/** Tunnels that have a series of their own. */
const CAPACITY = 4096
const SLOTS = CAPACITY * 2
const EMPTY = 0

/** Words of a series: encapsulation, tunnel identifier. */
const WORDS = 2

/**
 * The series of a sink: one for each tunnel of each encapsulation, numbered as they come. One thread adds, another reads.
 *
 * Bounded: tunnels beyond CAPACITY share one series for each encapsulation, so that a sender who tries all 16 million
 * VNIs cannot make that many files or interfaces. Those come first in the numbering.
 */
export class SeriesTable {
  readonly memory: SharedArrayBuffer
  readonly #series: Uint32Array
  /** Frames that a series was offered, and those that found the queue full. */
  readonly #offered: Float64Array
  readonly #lost: Float64Array
  readonly #slots: Uint16Array = new Uint16Array(SLOTS)
  #count = ENCAPSULATIONS.length
  #lastEncapsulation = -1
  #lastId = 0
  #lastSeries = 0

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(rows() * (8 + 8 + 4 * WORDS))) {
    this.memory = memory
    this.#offered = new Float64Array(memory, 0, rows())
    this.#lost = new Float64Array(memory, rows() * 8, rows())
    this.#series = new Uint32Array(memory, rows() * 16, rows() * WORDS)
  }

  /** The number of a tunnel's series. */
  indexOf(encapsulation: number, tunnelId: number): number {
    if (encapsulation === this.#lastEncapsulation && tunnelId === this.#lastId) return this.#lastSeries
    this.#lastEncapsulation = encapsulation
    this.#lastId = tunnelId
    this.#lastSeries = this.#find(encapsulation, tunnelId)
    return this.#lastSeries
  }

  count(series: number, lost: boolean): void {
    this.#offered[series]! += 1
    if (lost) this.#lost[series]! += 1
  }

  offered(series: number): number {
    return this.#offered[series]!
  }

  lost(series: number): number {
    return this.#lost[series]!
  }

  /** Without a tunnel identifier: the series of those that found no room. */
  describe(series: number): { encapsulation: string; tunnelId: number | undefined } {
    if (series < ENCAPSULATIONS.length) return { encapsulation: ENCAPSULATIONS[series]!.name, tunnelId: undefined }
    const encapsulation = ENCAPSULATIONS[this.#series[series * WORDS]!]!.name
    return { encapsulation, tunnelId: this.#series[series * WORDS + 1]! }
  }

  #find(encapsulation: number, tunnelId: number): number {
    let slot = (Math.imul(tunnelId ^ (encapsulation << 24), 0x9e3779b1) >>> 0) % SLOTS
    while (this.#slots[slot] !== EMPTY) {
      const series = this.#slots[slot]!
      const at = series * WORDS
      if (this.#series[at] === encapsulation && this.#series[at + 1] === tunnelId) return series
      slot = slot + 1 === SLOTS ? 0 : slot + 1
    }
    if (this.#count === rows()) return encapsulation
    const series = this.#count++
    this.#series[series * WORDS] = encapsulation
    this.#series[series * WORDS + 1] = tunnelId
    this.#slots[slot] = series
    return series
  }
}

function rows(): number {
  return CAPACITY + ENCAPSULATIONS.length
}
