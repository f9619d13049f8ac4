import type { FilterProgram } from '../dgram-extended/libpcap.ts'
import type { FrameFilter } from '../frames/bpf.ts'
import { createFilter } from '../frames/bpf-compiler.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import { FILTERED, OK, type Verdict } from '../wire/verdict.ts'
import type { Step } from './step.ts'

/** Which of the frames that were let in are wanted. */
export interface SelectOptions {
  /** Compiled for Ethernet. */
  readonly filter?: FilterProgram | undefined
}

/** Leaves out the frames that the user does not want, while all that arrived of them is still there to judge by. */
export class SelectStep implements Step {
  readonly #filter: FrameFilter | undefined

  constructor({ filter }: SelectOptions) {
    if (filter !== undefined) this.#filter = createFilter(filter.instructions)
  }

  judge(batch: FrameBatch, row: number): Verdict {
    if (this.#filter !== undefined) {
      const wanted = this.#filter(batch.bytes, batch.offset[row]!, batch.captured[row]!, batch.wireLength[row]!)
      if (!wanted) return FILTERED
    }
    return OK
  }
}
