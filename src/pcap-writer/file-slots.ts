import type { CaptureFile } from './capture-file.ts'
import type { PathTemplate, Series } from './path-template.ts'

/** The files of all series that have the same names: one series, unless the path leaves fields out. */
export interface Slot {
  readonly key: string
  readonly series: Series
  file: CaptureFile | undefined
}

const NO_SERIES: Series = { encapsulation: 'none', tunnelId: undefined }

/** Which series share a file: those that the path gives the same name. */
export class FileSlots {
  readonly #template: PathTemplate | undefined
  readonly #describe: (series: number) => Series
  readonly #byKey = new Map<string, Slot>()
  readonly #bySeries = new Map<number, Slot>()

  /** Without a template (a stream) there is one slot for all. */
  constructor(template: PathTemplate | undefined, describe: (series: number) => Series) {
    this.#template = template
    this.#describe = describe
  }

  all(): Iterable<Slot> {
    return this.#byKey.values()
  }

  /** Where the path has no fields of series. */
  only(): Slot {
    return this.#named('', NO_SERIES)
  }

  of(series: number): Slot {
    const known = this.#bySeries.get(series)
    if (known !== undefined) return known
    const description = this.#template?.hasSeriesFields ? this.#describe(series) : NO_SERIES
    const slot = this.#named(this.#template?.seriesKey(description) ?? '', description)
    this.#bySeries.set(series, slot)
    return slot
  }

  clear(): void {
    this.#byKey.clear()
  }

  #named(key: string, series: Series): Slot {
    let slot = this.#byKey.get(key)
    if (slot === undefined) {
      slot = { key, series, file: undefined }
      this.#byKey.set(key, slot)
    }
    return slot
  }
}
