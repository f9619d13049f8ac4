import type { Series } from '../../pcap-writer/path-template.ts'
import { LINKTYPE_ETHERNET } from '../../wire/link-type.ts'
import { encapsulationNamed } from '../../wire/registry.ts'
import type { Lane } from '../thread/wiring.ts'
import { SERIES, SeriesTable, SHARED } from './series-table.ts'

/** A lane's series, and the sink's number for each; -1 = not met yet. */
interface Numbers {
  readonly table: SeriesTable
  readonly toSink: Int32Array
  /** Of those that the sink has a number of their own for. */
  readonly toLane: Int32Array
}

/** One numbering of series for a sink whose workers number theirs each for itself; as bounded as theirs. Belongs to the sink's thread. */
export class SeriesLanes {
  readonly #all: SeriesTable = new SeriesTable()
  readonly #lanes: Map<number, Numbers> = new Map()
  #current: Numbers | undefined

  /** Numbers are this lane's from now on. */
  use({ id, series }: Lane<unknown>): void {
    let numbers = this.#lanes.get(id)
    if (numbers === undefined && series !== undefined) {
      const unknown = () => new Int32Array(SERIES).fill(-1)
      numbers = { table: new SeriesTable(series), toSink: unknown(), toLane: unknown() }
      this.#lanes.set(id, numbers)
    }
    this.#current = numbers
  }

  /** The lane has ended: its counts are kept. */
  leave({ id }: Lane<unknown>): void {
    const numbers = this.#lanes.get(id)
    this.#lanes.delete(id)
    if (numbers === undefined) return
    for (const [own, series] of numbers.toSink.entries()) {
      if (series >= 0) this.#all.add(series, numbers.table.offered(own), numbers.table.lost(own))
    }
  }

  /** The sink's number for a series of the lane in use. */
  of(series: number): number {
    const numbers = this.#current
    if (numbers === undefined) return series
    const known = numbers.toSink[series]!
    return known >= 0 ? known : this.#meet(numbers, series)
  }

  describe(series: number): Series {
    return this.#all.describe(series)
  }

  offered(series: number): number {
    return this.#sum(series, (table, own) => table.offered(own))
  }

  lost(series: number): number {
    return this.#sum(series, (table, own) => table.lost(own))
  }

  #sum(series: number, read: (table: SeriesTable, own: number) => number): number {
    let sum = read(this.#all, series)
    for (const { table, toSink, toLane } of this.#lanes.values()) {
      if (series >= SHARED) sum += toLane[series]! < 0 ? 0 : read(table, toLane[series]!)
      // Those that stand for many have many.
      else for (let own = 0; own < SERIES; own++) if (toSink[own] === series) sum += read(table, own)
    }
    return sum
  }

  #meet({ table, toSink, toLane }: Numbers, own: number): number {
    const { encapsulation, tunnelId, linkType = LINKTYPE_ETHERNET } = table.describe(own)
    const number =
      tunnelId === undefined ? own : this.#all.indexOf(encapsulationNamed(encapsulation), tunnelId, linkType)
    toSink[own] = number
    toLane[number] = own
    return number
  }
}
