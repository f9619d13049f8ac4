import type { FrameFilter } from '../frames/bpf.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import type { NumberSet } from '../frames/number-set.ts'
import type { FrameSink } from '../sinks/sink.ts'
import type { SinkCounters } from '../telemetry/counters.ts'

/** A sink with what it selects. */
export interface Outlet {
  readonly sink: FrameSink
  readonly counters: SinkCounters
  /** The tunnel identifiers that this sink wants; undefined = all. */
  readonly wanted: NumberSet | undefined
  /** The frames that it wants, as they are now; undefined = all. */
  readonly filter: FrameFilter | undefined
}

/** Shows every sink the same batch. */
export class FanOut {
  readonly #outlets: readonly Outlet[]
  readonly #allRows: Uint16Array
  readonly #selected: Uint16Array

  /** `capacity`: rows of the batches, at most 65 536. */
  constructor(outlets: readonly Outlet[], capacity: number) {
    this.#outlets = outlets
    this.#allRows = Uint16Array.from({ length: capacity }, (_, row) => row)
    this.#selected = new Uint16Array(capacity)
  }

  write(batch: FrameBatch): void {
    for (let i = 0; i < this.#outlets.length; i++) {
      const outlet = this.#outlets[i]!
      outlet.counters.addOffered(batch.count)
      if (outlet.wanted === undefined && outlet.filter === undefined) {
        outlet.sink.write(batch, this.#allRows, batch.count)
        continue
      }
      const count = this.#select(batch, outlet)
      outlet.counters.addNotSelected(batch.count - count)
      outlet.sink.write(batch, this.#selected, count)
    }
  }

  flush(): void {
    for (let i = 0; i < this.#outlets.length; i++) this.#outlets[i]!.sink.flush()
  }

  close(): void {
    for (const outlet of this.#outlets) outlet.sink.close()
  }

  #select(batch: FrameBatch, { wanted, filter }: Outlet): number {
    const { bytes, offset, captured, wireLength } = batch
    let count = 0
    for (let row = 0; row < batch.count; row++) {
      if (wanted !== undefined && !wanted.has(batch.tunnelId[row]!)) continue
      if (filter !== undefined && !filter(bytes, offset[row]!, captured[row]!, wireLength[row]!)) continue
      this.#selected[count++] = row
    }
    return count
  }
}
