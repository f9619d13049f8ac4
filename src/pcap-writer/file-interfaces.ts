import type { Series } from './path-template.ts'
import type { RecordFormat } from './record-format.ts'
import type { RangeOwner } from './record-ranges.ts'

/** What a file needs to know about a series to describe it. */
export interface SeriesDescription {
  /** if_name. */
  readonly name: string
  /** if_description. */
  readonly description: string
  /** LINKTYPE_ value, where it is not that of the whole capture. */
  readonly linkType?: number | undefined
}

/** What pcapng's readers see of a series. */
export function describeSeries({ encapsulation, tunnelId, linkType }: Series): SeriesDescription {
  return tunnelId === undefined
    ? { name: `${encapsulation}-other`, description: `all other ${encapsulation} tunnels`, linkType }
    : { name: `${encapsulation}-${tunnelId}`, description: `${encapsulation} tunnel ${tunnelId}`, linkType }
}

/** Counts that a statistics block reports; kept by the owner of the capture, who sees more than the file does. */
export interface SeriesStatistics {
  /** Frames received for the series. */
  readonly received: number
  /** Frames dropped by this program. */
  readonly dropped: number
  /** Frames dropped by the kernel. */
  readonly kernelDropped: number
}

interface FileInterface extends RangeOwner {
  readonly id: number
  readonly series: number
  readonly block: Uint8Array
  startSeconds: number
  startNanoseconds: number
  endSeconds: number
  endNanoseconds: number
  /** Whether it has had a record, so that its times mean something. */
  used: boolean
}

/** The series of one file and the interface each of them is there; in formats without interfaces there is just the account. */
export class FileInterfaces {
  /** How many have their block in the file. */
  described = 0
  /** Bytes of all blocks, those at the file's end included. */
  blockBytes = 0
  readonly #format: RecordFormat
  readonly #describe: (series: number) => SeriesDescription
  readonly #trailerBytes: number
  readonly #bySeries = new Map<number, FileInterface>()
  readonly #list: FileInterface[] = []

  constructor(format: RecordFormat, describe: (series: number) => SeriesDescription) {
    this.#format = format
    this.#describe = describe
    this.#trailerBytes = format.statisticsBlock(0, { ...NO_TIMES, received: 0, dropped: 0, kernelDropped: 0 }).length
  }

  /** Bytes by which the blocks grow when the file gets its first record of `series`. */
  costOf(series: number): number {
    return this.#bySeries.has(series) ? 0 : this.#newInterface(series).block.length + this.#trailerBytes
  }

  /** Makes the records in [start, end), all of `series`, name the interface they have in this file. Returns its account. */
  adopt(view: DataView, start: number, end: number, series: number): RangeOwner {
    const own = this.#bySeries.get(series) ?? this.#insert(this.#newInterface(series))
    if (!this.#format.hasInterfaces) return own
    let last = start
    const patch = this.#format.interfaceIdAt(view, start) !== own.id
    for (let at = start; at < end; at += this.#format.lengthAt(view, at)) {
      if (patch) this.#format.setInterfaceId(view, at, own.id)
      last = at
    }
    if (!own.used) {
      own.used = true
      own.startSeconds = this.#format.secondsAt(view, start)
      own.startNanoseconds = this.#format.nanosecondsAt(view, start)
    }
    own.endSeconds = this.#format.secondsAt(view, last)
    own.endNanoseconds = this.#format.nanosecondsAt(view, last)
    return own
  }

  /** Blocks of the interfaces that the file does not have yet. */
  missingBlocks(): Uint8Array[] {
    return this.#list.slice(this.described).map(({ block }) => block)
  }

  /** All described interfaces' closing blocks. Without `statistics` they tell what the file itself knows. */
  statisticsBlocks(statistics: ((series: number) => SeriesStatistics) | undefined): Uint8Array[] {
    return this.#list.slice(0, this.described).map((own) => {
      const counts = statistics?.(own.series) ?? {
        received: own.written + own.lost,
        dropped: own.lost,
        kernelDropped: 0,
      }
      return this.#format.statisticsBlock(own.id, { ...own, ...counts })
    })
  }

  /** Interfaces so far; each gets its number at its first record. */
  get count(): number {
    return this.#list.length
  }

  #newInterface(series: number): FileInterface {
    const { name, description, linkType } = this.#describe(series)
    const block = this.#format.interfaceBlock(name, description, linkType)
    return { id: this.#list.length, series, block, ...NO_TIMES, used: false, written: 0, lost: 0 }
  }

  #insert(added: FileInterface): FileInterface {
    this.#bySeries.set(added.series, added)
    this.#list.push(added)
    this.blockBytes += added.block.length + this.#trailerBytes
    return added
  }
}

const NO_TIMES = { startSeconds: 0, startNanoseconds: 0, endSeconds: 0, endNanoseconds: 0 } as const
