import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { attempt, compare } from './live.ts'
import type { Place } from './place.ts'
import { collectorToSinks, collectorToTap, type Receiver, referenceToTap, ringToTap } from './receivers.ts'
import { bounded, measured, type Row, type Settings } from './report.ts'
import { median } from './statistics.ts'

const INNER_BYTES = 200
const PROMISED_RATE = 300_000
const PROMISED_RING_RATE = 400_000
/** At this rate none of them loses anything, so that CPU for each frame can be compared. */
const SHARED_RATE = 200_000

/** Frames to a TAP device, and to several sinks at once. */
export async function devices(place: Place, settings: Settings): Promise<Row[]> {
  const c = referenceToTap(place)
  const rows: Row[] =
    c === undefined
      ? [{ part: 'devices', measure: 'left out: there is no gcc to build the C receiver with' }]
      : await compare('devices', place, collectorToTap, c, INNER_BYTES, settings)
  if (c !== undefined) rows.push(...(await compare('devices, ring', place, ringToTap, c, INNER_BYTES, settings)))
  rows.push(await promisedRate(place, collectorToTap, PROMISED_RATE, settings))
  rows.push(await promisedRate(place, ringToTap, PROMISED_RING_RATE, settings))
  return [...rows, await threeSinks(place, settings)]
}

async function promisedRate(place: Place, receiver: Receiver, rate: number, settings: Settings): Promise<Row> {
  const tried = await attempt(place, receiver, INNER_BYTES, rate, settings.seconds * 3)
  return bounded({
    part: 'devices',
    measure: `${receiver.name}: lost at ${Math.round(tried.rate / 1000)} k/s`,
    ours: `${tried.lost} of ${tried.written + tried.lost}`,
    value: tried.lost,
    below: 1,
    unit: 'frames',
    samples: tried,
  })
}

/** CPU for each frame with three sinks, beside the sum of what each costs beyond receiving, and receiving once. */
async function threeSinks(place: Place, settings: Settings): Promise<Row> {
  const file = join(place.folder, 'three.pcap')
  const one = (name: string, out: string): Receiver => collectorToSinks(name, [out])
  const receivers = [
    one('null alone', 'null'),
    one('pcap alone', `pcap:${file}`),
    one('TAP alone', 'tap:bench0'),
    collectorToSinks('all three', [`pcap:${file}`, 'tap:bench0', 'null']),
  ]
  const turns: number[][] = []
  for (let i = 0; i < Math.max(3, settings.repeats); i++) {
    const turn: number[] = []
    for (const receiver of receivers) {
      turn.push((await attempt(place, receiver, INNER_BYTES, SHARED_RATE, settings.seconds)).cpuMicroseconds)
      rmSync(file, { force: true })
    }
    turns.push(turn)
  }
  const [nothing, pcap, tap, all] = receivers.map((_, which) => median(turns.map((turn) => turn[which]!)))
  const sum = pcap! + tap! - nothing!
  return measured({
    part: 'devices',
    measure: `CPU a frame at ${SHARED_RATE / 1000} k/s, pcap, TAP and null at once`,
    ours: `${all!.toFixed(2)} us`,
    yardstick: `receiving, and each one's own cost: ${sum.toFixed(2)} us`,
    ratio: all! / sum,
    atMost: 1.1,
    samples: turns,
  })
}
