import type { FrameBatch } from '../frames/frame-batch.ts'
import type { PipelineCounters } from '../telemetry/counters.ts'
import { OK, VERDICTS, type Verdict } from '../wire/verdict.ts'

/** One step of the pipeline: judges each row of a batch and leaves out those that are not to go on. */
export interface Stage {
  run(batch: FrameBatch): void
}

/** A verdict that counts nothing now: the row's bytes are kept elsewhere and counted when their fate is known. */
export const HELD: Verdict = -1

/** Runs `judge` over the rows of a batch, closes the gaps, and counts each verdict once per batch. */
export abstract class JudgingStage implements Stage {
  readonly #counters: PipelineCounters
  readonly #tally: Uint32Array = new Uint32Array(VERDICTS.length)

  constructor(counters: PipelineCounters) {
    this.#counters = counters
  }

  /** Judges one row; may change its columns. */
  protected abstract judge(batch: FrameBatch, row: number): Verdict

  run(batch: FrameBatch): void {
    const rows = batch.count
    let kept = 0
    let lost = 0
    for (let row = 0; row < rows; row++) {
      const verdict = this.judge(batch, row)
      if (verdict === OK) {
        if (kept !== row) batch.moveRow(row, kept)
        kept++
      } else if (verdict !== HELD) {
        this.#tally[verdict]!++
        lost++
      }
    }
    batch.count = kept
    if (lost > 0) this.#count()
  }

  #count(): void {
    for (let verdict = 0; verdict < this.#tally.length; verdict++) {
      if (this.#tally[verdict]! > 0) this.#counters.addVerdict(verdict, this.#tally[verdict]!)
    }
    this.#tally.fill(0)
  }
}
