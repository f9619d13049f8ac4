import type { FrameBatch } from '../frames/frame-batch.ts'
import type { Verdict } from '../wire/verdict.ts'

/** One step of a frame's way through the pipeline. Allocates nothing and never throws. */
export interface Step {
  /** Judges one row; may change its columns. */
  judge(batch: FrameBatch, row: number): Verdict
}

/** A verdict that counts nothing now: the row's bytes are kept elsewhere and counted when their fate is known. */
export const HELD: Verdict = -1
