import type { FrameBatch } from '../frames/frame-batch.ts'
import type { NumberSet } from '../frames/number-set.ts'
import { PEER_DENIED } from '../frames/peer-table.ts'
import { OK, SOURCE_NOT_ALLOWED, type Verdict, VNI_NOT_ALLOWED } from '../wire/verdict.ts'
import type { Step } from './step.ts'

/** Lets in the frames whose sender and tunnel identifier are wanted. */
export class AdmitStep implements Step {
  #wanted: NumberSet | undefined

  /** Without `wanted` every identifier is. The peer table has already judged the senders. */
  constructor(wanted?: NumberSet) {
    this.#wanted = wanted
  }

  /** Wants others from now on. */
  admit(wanted: NumberSet | undefined): void {
    this.#wanted = wanted
  }

  judge(batch: FrameBatch, row: number): Verdict {
    if (batch.peer[row] === PEER_DENIED) return SOURCE_NOT_ALLOWED
    return this.#wanted === undefined || this.#wanted.has(batch.tunnelId[row]!) ? OK : VNI_NOT_ALLOWED
  }
}
