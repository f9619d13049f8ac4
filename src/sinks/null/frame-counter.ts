import type { FrameBatch } from '../../frames/frame-batch.ts'
import type { SinkCounters } from '../../telemetry/counters.ts'
import type { FrameSink, SinkWiring } from '../sink.ts'

/** Counts the frames and lets them go: for measuring, and for counting what arrives. */
class FrameCounter implements FrameSink {
  readonly #counters: SinkCounters
  #written = 0
  #bytes = 0

  constructor(counters: SinkCounters) {
    this.#counters = counters
  }

  write(batch: FrameBatch, rows: Uint16Array, count: number): void {
    for (let i = 0; i < count; i++) this.#bytes += batch.captured[rows[i]!]!
    this.#written += count
    this.#counters.setSent(this.#written, this.#bytes, 0)
  }

  flush(): void {}

  close(): void {}
}

/** The half of the null sink that lives in the pipeline, and all there is of it; see PipelineHalf. */
export function attach(_wiring: SinkWiring, counters: SinkCounters): FrameSink {
  return new FrameCounter(counters)
}
