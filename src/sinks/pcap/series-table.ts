import type { Series } from '../../pcap-writer/path-template.ts'
import { LINKTYPE_RAW } from '../../wire/link-type.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'

/** Tunnels that have a series of their own. */
const CAPACITY = 4096
const SLOTS = CAPACITY * 2
const EMPTY = 0

/** Words of a series: encapsulation and link type, tunnel identifier. */
const WORDS = 2
/** Added to the encapsulation's number where the frames are bare IP packets. */
const RAW = ENCAPSULATIONS.length
/** Series that stand for all tunnels without one of their own, for each encapsulation and link type. */
export const SHARED: number = 2 * ENCAPSULATIONS.length
/** All that there may be. */
export const SERIES: number = CAPACITY + SHARED

/**
 * The series of a sink: one for each link type of each tunnel of each encapsulation, numbered as they come. One thread adds, another reads.
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
  #count = SHARED
  #lastKind = -1
  #lastId = 0
  #lastSeries = 0

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(SERIES * (8 + 8 + 4 * WORDS))) {
    this.memory = memory
    this.#offered = new Float64Array(memory, 0, SERIES)
    this.#lost = new Float64Array(memory, SERIES * 8, SERIES)
    this.#series = new Uint32Array(memory, SERIES * 16, SERIES * WORDS)
  }

  /** The number of a tunnel's series. */
  indexOf(encapsulation: number, tunnelId: number, linkType: number): number {
    const kind = linkType === LINKTYPE_RAW ? encapsulation + RAW : encapsulation
    if (kind === this.#lastKind && tunnelId === this.#lastId) return this.#lastSeries
    this.#lastKind = kind
    this.#lastId = tunnelId
    this.#lastSeries = this.#find(kind, tunnelId)
    return this.#lastSeries
  }

  count(series: number, lost: boolean): void {
    this.#offered[series]! += 1
    if (lost) this.#lost[series]! += 1
  }

  add(series: number, offered: number, lost: number): void {
    this.#offered[series]! += offered
    this.#lost[series]! += lost
  }

  offered(series: number): number {
    return this.#offered[series]!
  }

  lost(series: number): number {
    return this.#lost[series]!
  }

  /** Without a tunnel identifier: the series of those that found no room. */
  describe(series: number): Series {
    const kind = series < SHARED ? series : this.#series[series * WORDS]!
    const tunnelId = series < SHARED ? undefined : this.#series[series * WORDS + 1]!
    const encapsulation = ENCAPSULATIONS[kind % RAW]!.name
    return { encapsulation, tunnelId, linkType: kind < RAW ? undefined : LINKTYPE_RAW }
  }

  #find(kind: number, tunnelId: number): number {
    let slot = (Math.imul(tunnelId ^ (kind << 24), 0x9e3779b1) >>> 0) % SLOTS
    while (this.#slots[slot] !== EMPTY) {
      const series = this.#slots[slot]!
      const at = series * WORDS
      if (this.#series[at] === kind && this.#series[at + 1] === tunnelId) return series
      slot = slot + 1 === SLOTS ? 0 : slot + 1
    }
    if (this.#count === SERIES) return kind
    const series = this.#count++
    this.#series[series * WORDS] = kind
    this.#series[series * WORDS + 1] = tunnelId
    this.#slots[slot] = series
    return series
  }
}
