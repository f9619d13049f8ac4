import { SinkCounters } from './counters.ts'

/** All that is counted of one sink: by the half that sends, and by each worker's half in the pipeline. */
export class SinkAccount {
  /** Of the half that sends. */
  readonly sent: SinkCounters = new SinkCounters()
  readonly #lanes: Set<SinkCounters> = new Set()
  /** Of lanes that have ended. */
  #past: SinkCounters = new SinkCounters()

  /** Counters for one more half in a pipeline. */
  addLane(): SinkCounters {
    const counters = new SinkCounters()
    this.#lanes.add(counters)
    return counters
  }

  /** They count no further. */
  endLane(counters: SinkCounters): void {
    if (this.#lanes.delete(counters)) this.#past = SinkCounters.sum([this.#past, counters])
  }

  /** As it is now. */
  get total(): SinkCounters {
    return SinkCounters.sum([this.sent, this.#past, ...this.#lanes])
  }

  /** The half that sends is gone: what was offered and has come to no end never will. */
  failRest(): void {
    this.sent.addFailed(this.total.balance())
  }
}
