import { join } from 'node:path'
import { attempt, flood } from './live.ts'
import type { Place } from './place.ts'
import { residentBytes } from './program.ts'
import { collector, startCollector } from './receivers.ts'
import { bounded, type Row, type Settings } from './report.ts'
import { slope } from './statistics.ts'

const INNER_BYTES = 200
const SAMPLE_MS = 500
/** Megabytes. A ring of --buffer's default counts as resident, once the kernel has filled it; what waits in a socket does not. */
const MOST = { udp: 150, ring: 150 + (64 << 20) / 1e6 }

/** Frames per second that keep a collector half busy: half of what it wrote when flooded at full speed. */
export async function halfRate(place: Place, settings: Settings): Promise<number> {
  const full = await attempt(place, collector, INNER_BYTES, Number.POSITIVE_INFINITY, settings.seconds)
  return Math.round(Math.min(full.rate, full.written / full.seconds) / 2)
}

/** Resident memory, and frames lost, through a long flood at half the highest rate. */
export async function memory(place: Place, settings: Settings): Promise<Row[]> {
  const rate = await halfRate(place, settings)
  const short = settings.quick ? 10 : 60
  return [
    ...(await flooded(place, 'udp', settings.long ? 600 : short, rate)),
    ...(await flooded(place, 'ring', settings.long ? 1800 : short, rate)),
  ]
}

async function flooded(place: Place, engine: keyof typeof MOST, seconds: number, rate: number): Promise<Row[]> {
  // Rotated, and two files kept: the whole flood would not fit into memory.
  const { program, stop } = await startCollector(
    place,
    `pcap:${join(place.folder, 'memory-%Y%m%d-%H%M%S.pcap')}?rotate=200MiB&keep=2`,
    [],
    engine,
  )
  const samples: [minutes: number, bytes: number][] = []
  const start = performance.now()
  const timer = setInterval(() => {
    samples.push([(performance.now() - start) / 60_000, residentBytes(program.pid).now])
  }, SAMPLE_MS)
  const sent = await flood(place, INNER_BYTES, rate * seconds, rate).finally(() => clearInterval(timer))
  const { peak } = residentBytes(program.pid)
  const { written } = await stop()
  // The first half fills the buffers and compiles the loops.
  const growth = slope(samples.slice(samples.length >> 1)) / 1e6
  const lost = sent.sent - written
  const what = `${seconds} s at ${Math.round(rate / 1000)} k/s, --engine ${engine}`
  return [
    bounded({
      part: 'memory',
      measure: `highest resident memory, ${what}`,
      ours: `${Math.round(peak / 1e6)} MB`,
      value: peak / 1e6,
      below: Math.round(MOST[engine]),
      unit: 'MB',
      samples: { peak, samples },
    }),
    { part: 'memory', measure: 'its growth in the second half', ours: `${growth.toFixed(2)} MB a minute` },
    bounded({
      part: 'memory',
      measure: `lost, ${what}`,
      ours: `${lost} of ${sent.sent}`,
      value: lost,
      below: 1,
      unit: 'frames',
      samples: lost,
    }),
  ]
}
