import { attempt, FULL_SPEED_COUNT_RATE } from './live.ts'
import type { Place } from './place.ts'
import { collectorWith, onVxlanDevice, PCAP_RECORD_HEADER_BYTES } from './receivers.ts'
import { measured, type Row, type Settings } from './report.ts'
import { median } from './statistics.ts'

/** The part of the generator's highest rate at which CPU time is compared: all keep up, and wake-ups are few. */
const SHARE = 0.5
const FASTEST = Number.POSITIVE_INFINITY
/** Of a run at half speed, before anything is measured: see SECONDS. Runs at full speed have many times as many frames. */
const WARM_UP_SECONDS = 6
/** V8 compiles what runs once a batch or a segment only after seconds, 0.1 s in all: over so long it is a few nanoseconds a frame. */
const SECONDS = 8
/** What a run may write into memory. */
const FILE_BYTES = 4e9

/** The ring against tcpdump and dumpcap on the kernel's own vxlan device, turn by turn: what is lost at full speed, and CPU a frame. */
export async function ring(place: Place, settings: Settings): Promise<Row[]> {
  const rows: Row[] = []
  for (const inner of settings.quick ? [200] : [64, 200, 1400]) rows.push(...(await compare(place, inner, settings)))
  return rows
}

async function compare(place: Place, inner: number, settings: Settings): Promise<Row[]> {
  const receivers = [collectorWith('ring'), onVxlanDevice('tcpdump'), onVxlanDevice('dumpcap')]
  const fastest: { rate: number; lost: number; cpuMicroseconds: number }[][] = []
  const paced: typeof fastest = []
  const fits = FILE_BYTES / (inner + PCAP_RECORD_HEADER_BYTES) / FULL_SPEED_COUNT_RATE
  const seconds = settings.quick ? settings.seconds : Math.min(SECONDS, fits)
  for (let i = 0; i < Math.max(3, settings.repeats); i++) {
    const turn: (typeof fastest)[number] = []
    for (const receiver of receivers) turn.push(await attempt(place, receiver, inner, FASTEST, seconds))
    fastest.push(turn)
    const rate = SHARE * median(fastest.map(([ours]) => ours!.rate))
    const even: typeof turn = []
    for (const receiver of receivers) even.push(await attempt(place, receiver, inner, rate, seconds, WARM_UP_SECONDS))
    paced.push(even)
  }
  const cpu = (turns: typeof fastest, which: number) => median(turns.map((turn) => turn[which]!.cpuMicroseconds))
  const versus = (turns: typeof fastest, what: string, which: number, name: string, atMost: number): Row =>
    measured({
      part: 'ring',
      measure: `CPU a frame ${what}, ${inner}-byte frames`,
      ours: `${cpu(turns, 0).toFixed(3)} us`,
      yardstick: `${name}: ${cpu(turns, which).toFixed(3)} us`,
      ratio: cpu(turns, 0) / cpu(turns, which),
      atMost,
      samples: turns,
    })
  const rate = Math.round(median(fastest.map(([ours]) => ours!.rate)) / 1000)
  const losses = fastest.map(([ours]) => ours!.lost)
  return [
    {
      part: 'ring',
      measure: `frames lost at the generator's full speed, ${rate} k/s, ${inner}-byte frames`,
      ours: losses.join(', '),
      yardstick: `tcpdump: ${fastest.map((turn) => turn[1]!.lost).join(', ')}`,
      target: 'median 0',
      holds: median(losses) === 0,
      samples: fastest,
    },
    versus(fastest, 'at full speed', 1, 'tcpdump', 1.0),
    versus(paced, `at ${rate >> 1} k/s`, 1, 'tcpdump', 1.0),
    versus(fastest, 'at full speed', 2, 'dumpcap', 0.4),
    versus(paced, `at ${rate >> 1} k/s`, 2, 'dumpcap', 0.4),
  ]
}
