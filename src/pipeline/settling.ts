import { setTimeout } from 'node:timers/promises'
import type { Source } from '../sources/source.ts'
import type { Pipeline } from './pipeline.ts'

/** At the end: how long the sinks may take for what they have, before a place that others keep is left where it was. */
const PATIENCE_MS = 10_000
const LOOK_MS = 10

/** Tells a source whose place is kept elsewhere how far every sink is: what is written twice is better than what is lost. */
export class Settling {
  readonly #pipeline: Pipeline
  readonly #source: Source
  #mark: unknown
  /** Whether the sinks are done with all that they had been given when the mark was made; undefined = no mark. */
  #isReached: (() => boolean) | undefined

  constructor(pipeline: Pipeline, source: Source) {
    this.#pipeline = pipeline
    this.#source = source
  }

  /** Called after the sinks were asked to send what they have. */
  async look(): Promise<void> {
    if (this.#source.mark === undefined) return
    if (this.#isReached !== undefined) {
      if (!this.#isReached()) return
      await this.#source.settled?.(this.#mark)
    }
    this.#mark = this.#source.mark()
    this.#isReached = this.#pipeline.settlement()
  }

  /** No frame follows: waits for the sinks, then keeps the place. */
  async finish(): Promise<void> {
    if (this.#source.mark === undefined) return
    this.#pipeline.flush()
    const mark = this.#source.mark()
    const isReached = this.#pipeline.settlement()
    const deadline = performance.now() + PATIENCE_MS
    while (!isReached()) {
      if (performance.now() > deadline) return
      await setTimeout(LOOK_MS)
    }
    await this.#source.settled?.(mark)
  }
}
