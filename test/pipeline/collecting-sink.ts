import type { FrameBatch } from '../../src/frames/frame-batch.ts'
import type { FrameSink } from '../../src/sinks/sink.ts'
import type { SinkCounters } from '../../src/telemetry/counters.ts'

/** What a sink has seen, in the order it came. */
export interface Collected {
  readonly frames: { tunnelId: number; bytes: string; wireLength: number; second: number; nanosecond: number }[]
  writes: number
  flushes: number
  closes: number
}

export function nothingCollected(): Collected {
  return { frames: [], writes: 0, flushes: 0, closes: 0 }
}

/** The pipeline's half of a sink that copies the frames into its wiring. */
export function attach(wiring: unknown, counters: SinkCounters): FrameSink {
  const collected = wiring as Collected
  return {
    write(batch: FrameBatch, rows: Uint16Array, count: number): void {
      collected.writes++
      for (const row of rows.subarray(0, count)) {
        const start = batch.offset[row]!
        collected.frames.push({
          tunnelId: batch.tunnelId[row]!,
          bytes: Buffer.from(batch.bytes.slice(start, start + batch.captured[row]!)).toString('hex'),
          wireLength: batch.wireLength[row]!,
          second: batch.seconds[row]!,
          nanosecond: batch.nanoseconds[row]!,
        })
      }
      counters.setSent(collected.frames.length, 0, 0)
    },
    flush: () => void collected.flushes++,
    close: () => void collected.closes++,
  }
}
