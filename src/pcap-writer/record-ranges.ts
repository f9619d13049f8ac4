import { countRecords, type RecordFormat, recordsBefore } from './record-format.ts'

/** Counts of one interface of one file. */
export interface RangeOwner {
  written: number
  lost: number
}

interface RecordRange {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly start: number
  readonly end: number
  readonly frames: number
  readonly owner: RangeOwner
}

/** Boundaries between records around a position: the last at or before it, the first at or behind it. */
export interface Boundaries {
  readonly down: number
  readonly up: number
}

/** Records waiting to be written to one file, as ranges of borrowed memory in the order they came. */
export class RecordRanges {
  bytes = 0
  frames = 0
  readonly #format: RecordFormat
  readonly #ranges: RecordRange[] = []

  constructor(format: RecordFormat) {
    this.#format = format
  }

  add(range: RecordRange): void {
    this.#ranges.push(range)
    this.bytes += range.end - range.start
    this.frames += range.frames
  }

  /** The memory to write; ranges that follow each other in memory are joined. */
  buffers(): Uint8Array[] {
    const joined: Uint8Array[] = []
    let start = 0
    for (const [index, range] of this.#ranges.entries()) {
      const previous = this.#ranges[index - 1]
      const next = this.#ranges[index + 1]
      if (previous === undefined || !follows(previous, range)) start = range.start
      if (next === undefined || !follows(range, next)) joined.push(range.bytes.subarray(start, range.end))
    }
    return joined
  }

  /** Boundaries around `written` bytes of what {@link buffers} gave. */
  boundaries(written: number): Boundaries {
    let before = 0
    for (const { view, start, end } of this.#ranges) {
      const length = end - start
      if (written < before + length) {
        const cut = recordsBefore(this.#format, view, start, end, start + written - before)
        const down = before + cut - start
        return { down, up: down === written ? down : down + this.#format.lengthAt(view, cut) }
      }
      before += length
    }
    return { down: before, up: before }
  }

  /** Empties the list: the records in the first `kept` bytes were written, the rest is lost. Returns how many were written. */
  settle(kept: number): number {
    let written = 0
    let before = 0
    for (const { view, start, end, frames, owner } of this.#ranges) {
      const inside = Math.min(Math.max(kept - before, 0), end - start)
      const here = inside === end - start ? frames : countRecords(this.#format, view, start, start + inside)
      owner.written += here
      owner.lost += frames - here
      written += here
      before += end - start
    }
    this.#ranges.length = 0
    this.bytes = 0
    this.frames = 0
    return written
  }
}

function follows(previous: RecordRange, range: RecordRange): boolean {
  return previous.bytes === range.bytes && previous.end === range.start
}
