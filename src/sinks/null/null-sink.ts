import { z } from 'zod'
import type { FrameBatch } from '../../frames/frame-batch.ts'
import type { SinkCounters } from '../../telemetry/counters.ts'
import type { FrameSink, SinkType } from '../sink.ts'

/** Counts the frames and lets them go: for measuring, and for counting what arrives. */
class NullFrameSink implements FrameSink {
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

const options: z.ZodType<Record<string, never>> = z.strictObject({})

export const nullSink: SinkType<Record<string, never>> = {
  type: 'null',
  summary: 'count and let go',
  example: 'null',
  takesTarget: false,
  options,
  slabBytes: () => 0,
  open: async () => ({ wiring: undefined, close: async () => {}, reopen: () => {} }),
  attach: (_wiring, counters) => new NullFrameSink(counters),
}
