import type { FilterProgram } from '../dgram-extended/libpcap.ts'
import type { FrameFilter } from '../frames/bpf.ts'
import { createFilter } from '../frames/bpf-compiler.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import { LINKTYPE_RAW } from '../wire/link-type.ts'

/** One expression, compiled for each kind of frame that the pipeline makes. */
export interface FilterPrograms {
  readonly ethernet: FilterProgram
  /** For IP packets without a link header; undefined where there are none. */
  readonly raw: FilterProgram | undefined
}

/** Whether the frame in a row of a batch is wanted. */
export class RowFilter {
  readonly #ethernet: FrameFilter
  readonly #raw: FrameFilter

  constructor({ ethernet, raw }: FilterPrograms) {
    this.#ethernet = createFilter(ethernet.instructions)
    this.#raw = raw === undefined ? this.#ethernet : createFilter(raw.instructions)
  }

  takes(batch: FrameBatch, row: number): boolean {
    const filter = batch.linkType[row] === LINKTYPE_RAW ? this.#raw : this.#ethernet
    return filter(batch.bytes, batch.offset[row]!, batch.captured[row]!, batch.wireLength[row]!)
  }
}
