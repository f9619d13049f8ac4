import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { flood } from './live.ts'
import { halfRate } from './memory.ts'
import type { Place } from './place.ts'
import { startCollector } from './receivers.ts'
import { bounded, type Row, type Settings } from './report.ts'

const INNER_BYTES = 200
const WARM_UP_FRAMES = 1_000_000
const MIB = 2 ** 20

/** One line of --trace-gc: `[pid:isolate] 42 ms: Scavenge 3.5 (4.1) -> 3.1 (5.1) MB, ...`. */
const COLLECTION = /^\[\d+:(0x[0-9a-f]+)\].*? ms: .*?([\d.]+) \([\d.]+\) -> ([\d.]+) \([\d.]+\) MB/

interface Collections {
  readonly count: number
  /** What the heaps grew by from one collection to the next, all threads together. */
  readonly bytes: number
}

/**
 * JavaScript memory allocated for each frame, from outside: the running collector reports its garbage collections.
 * What was allocated after the last collection is not seen; that is less than one young generation a thread.
 */
export async function allocation(place: Place, settings: Settings): Promise<Row[]> {
  const rate = await halfRate(place, settings)
  const file = join(place.folder, 'allocation.pcap')
  // The smallest young generation, so that little goes unseen.
  const flags = ['--trace-gc', '--max-semi-space-size=1']
  const { program, stop } = await startCollector(place, `pcap:${file}`, flags)
  await flood(place, INNER_BYTES, WARM_UP_FRAMES, rate)
  const warm = collections(program.stdout)
  const frames = Math.round(rate * (settings.quick ? 5 : 15))
  await flood(place, INNER_BYTES, frames, rate)
  const whole = collections(program.stdout)
  await stop()
  rmSync(file)
  const bytes = (whole.bytes - warm.bytes) / frames
  return [
    bounded({
      part: 'allocation',
      measure: `JavaScript memory allocated a frame, all threads; ${whole.count - warm.count} collections in ${(frames / 1e6).toFixed(1)} M frames`,
      ours: `${bytes.toFixed(2)} bytes`,
      value: bytes,
      below: 1,
      unit: 'byte',
      samples: { warm, whole, frames },
    }),
  ]
}

/** Reads what --trace-gc has printed so far. */
export function collections(trace: string): Collections {
  const after = new Map<string, number>()
  let count = 0
  let bytes = 0
  for (const line of trace.split('\n')) {
    const match = COLLECTION.exec(line)
    if (match === null) continue
    const isolate = match[1]!
    bytes += Math.max(0, Number(match[2]) - (after.get(isolate) ?? Number(match[2]))) * MIB
    after.set(isolate, Number(match[3]))
    count++
  }
  return { count, bytes }
}
