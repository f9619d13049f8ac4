import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { randomNumbers } from '../support/random.ts'
import { Flood } from '../support/sender.ts'
import type { SmallDisk } from '../support/small-disk.ts'
import { until } from '../support/waiting.ts'
import { FAULTS, type Scene, traceReceiving } from './faults.ts'
import { MemoryWatch } from './memory.ts'

const VNIS = 2 ** 24
const WARM_UP_MS = 60_000
const TOLD_EVERY_MS = 300_000
/**
 * MiB gained by which memory is no longer flat, in a life that was watched for a quarter of an hour, and in a shorter one, where heaps still
 * find their size: seen here, 23 MiB in three minutes, where half an hour had no more. A table of all that ever came, of 20 bytes each,
 * would gain 34 a minute at 30 000 frames a second.
 */
const MOST_GROWTH = 16
const MOST_GROWTH_EARLY = 48
const SETTLED_MINUTES = 15
/** Files may just be changing when descriptors are counted: four sinks, a buffer and a temporary name each. */
const MOST_DESCRIPTORS = 8
const EXIT_INTERNAL = 70

/** What the lives have in common: where they write, and how they are disturbed. */
export interface Surroundings {
  readonly place: string
  readonly disks: readonly SmallDisk[]
  readonly random: () => number
  /** Datagrams a millisecond. */
  readonly pace: number
  readonly total: Total
}

export interface Total {
  lives: number
  killed: number
  thrown: number
  faults: number
  received: number
  kernelDropped: number
  lost: number
}

/** How a life ends. */
export type End = 'stopped' | 'killed' | 'its workers throw'

/** @throws an error that names the sum, the file or the growth that is wrong */
export async function live(around: Surroundings, minutes: number, end: End): Promise<void> {
  const { place, total } = around
  const before = new Set(captures(place))
  const clock = new FakeClock(join(place, 'clock'), true)
  const scene = await start(around, clock)
  const { collector } = scene
  const memory = new MemoryWatch(collector.pid)
  // Half of the frames in one tunnel, the others in any.
  const vnis = randomNumbers(Math.floor(around.random() * 2 ** 31))
  const flood = new Flood(scene.port, around.pace, (i) => (i % 2 === 0 ? 100 : Math.floor(vnis() * VNIS)))
  total.lives++
  try {
    total.faults += await faultsUntil(performance.now() + minutes * 60_000, scene, memory)
    const gained = memory.descriptorsGained()
    memory.stop()
    if (end === 'killed') await kill(collector, place, before)
    else if (end === 'its workers throw') await makeThrow(collector)
    else {
      await flood.stop()
      await collector.stop()
    }
    await flood.stop()
    if (end === 'killed') total.killed++
    else {
      if (end !== 'stopped') total.thrown++
      const files = captures(place).filter((file) => !before.has(file))
      account(await collector.exit(), collector, end === 'stopped' ? flood.sent + scene.sent : undefined, total)
      for (const file of files) execFileSync('capinfos', ['-cM', file], { stdio: 'pipe' })
      say(`${files.length} files whole`)
    }
    judge(memory, gained)
  } catch (error) {
    say(`the collector's last words:\n${collector.stderr.slice(-4000)}`)
    throw error
  } finally {
    memory.stop()
    await flood.stop()
    await collector.dispose()
  }
}

async function start({ place, disks, random }: Surroundings, clock: FakeClock): Promise<Scene> {
  const folder = join(place, 'folder')
  mkdirSync(folder, { recursive: true })
  const config = join(place, 'config.yaml')
  writeFileSync(config, '{}\n')
  const collector = await startCollector(['--config', config, ...options(place)], { under: clock.under })
  const address = () => /http:\/\/127\.0\.0\.1:\d+\//.exec(collector.stderr)?.[0]
  await until('the address of its page is told', () => address() !== undefined)
  const port = collector.ports[0]!
  return { collector, port, disks, folder, config, clock, http: address()!, random, sent: 0, lastDeath: -60_000 }
}

/** Queues are small, so that soon all their pages have been touched. */
function options(place: string): string[] {
  const sinks = [
    `pcap:${place}/one/a.pcap?rotate=8MiB&keep=3&queue=2MiB`,
    `pcapng:${place}/two/%Y%m%d-%H%M%S.pcapng?rotate=8MiB&keep=3&compress=gzip&queue=2MiB`,
    `pcap:${place}/folder/%Y%m%d-%H%M%S.pcap?rotate=5s&keep=2&queue=2MiB`,
    'null?vni=100',
  ]
  const listen = ['--listen', 'vxlan://127.0.0.1:0', '--buffer', '128MiB', '--http', '0']
  const admit = ['--allow-from', '127.0.0.1,127.64.0.0/10']
  return [...listen, ...admit, '--snaplen', '96', '--dedup', '50ms', ...sinks.flatMap((sink) => ['--out', sink])]
}

/** Every fault once, then any of them. Memory is warm when each has been there and a minute has passed. */
async function faultsUntil(end: number, scene: Scene, memory: MemoryWatch): Promise<number> {
  const { collector, random } = scene
  const faults = [...FAULTS]
  const began = performance.now()
  const ahead = faults.map((fault) => ({ fault, key: random() })).sort((a, b) => a.key - b.key)
  let count = 0
  let isWarm = false
  let told = began
  for (; performance.now() < end; count++) {
    const [name, fault] = ahead.shift()?.fault ?? faults[Math.floor(random() * faults.length)]!
    say(name)
    await fault(scene)
    if (collector.hasEnded) throw new Error('The collector has ended by itself.')
    await setTimeout(1000 * random())
    const now = performance.now()
    if (!isWarm && ahead.length === 0 && now - began > WARM_UP_MS) {
      isWarm = true
      memory.warm()
    }
    if (now - told > TOLD_EVERY_MS) {
      told = now
      const { received, dropped, kernelDropped } = await collector.statistics()
      say(`so far ${JSON.stringify({ received, dropped, kernelDropped })}; ${described(memory)}`)
    }
    // It says much in an hour, all of which would be read again for each of its statistics.
    collector.stderr = collector.stderr.slice(-100_000)
  }
  return count
}

/** Each file has whole frames up to where it is cut off. */
async function kill(collector: Collector, place: string, before: ReadonlySet<string>): Promise<void> {
  await collector.stop('SIGKILL')
  const plain = captures(place).filter((file) => file.endsWith('.pcap') && !before.has(file))
  const frames = plain.map((file) => numbersRead(file, true).length)
  say(`killed; ${plain.length} files, ${frames.reduce((sum, count) => sum + count, 0)} frames in them`)
  if (plain.length === 0) throw new Error('no file was left')
}

async function makeThrow(collector: Collector): Promise<void> {
  await once(traceReceiving(collector.pid), 'close')
  say(`its workers threw: ${/.*EIO.*/.exec(collector.stderr)?.[0] ?? 'nothing was said about it'}`)
}

/** `sent`: what the kernel took, where all of it must have been received. */
function account(code: number | null, collector: Collector, sent: number | undefined, total: Total): void {
  const wanted = sent === undefined ? EXIT_INTERNAL : 0
  if (code !== wanted) throw new Error(`ended with ${code}, not with ${wanted}`)
  const report = collector.report()
  expectBalance(report)
  if (sent !== undefined && report.received + report.kernelDropped !== sent) {
    throw new Error(`${sent} sent, ${report.received} received, ${report.kernelDropped} dropped by the kernel`)
  }
  total.received += report.received
  total.kernelDropped += report.kernelDropped
  total.lost += lostBySinks(report)
  say(`balanced: ${JSON.stringify(report.sinks.map(({ written, dropped }) => ({ written, dropped })))}`)
  say(`${report.received} received, ${JSON.stringify(report.dropped)}, kernel ${report.kernelDropped}`)
}

function judge(memory: MemoryWatch, descriptors: number): void {
  say(`${described(memory)}, ${descriptors} descriptors more`)
  const most = memory.minutes < SETTLED_MINUTES ? MOST_GROWTH_EARLY : MOST_GROWTH
  if ((memory.growth ?? 0) > most) throw new Error('memory grows')
  if (descriptors > MOST_DESCRIPTORS) throw new Error('descriptors stay open')
}

function described({ largest, growth, minutes }: MemoryWatch): string {
  const moved =
    growth === undefined
      ? 'watched too briefly to tell its growth'
      : `${growth.toFixed(1)} gained in the later half of ${minutes.toFixed(1)} minutes`
  return `memory: at most ${largest.toFixed(0)} MiB, ${moved}`
}

function captures(place: string): string[] {
  return ['one', 'two', 'folder']
    .map((name) => join(place, name))
    .flatMap((folder) => readdirSync(folder, { withFileTypes: true }))
    .filter(({ name }) => name.includes('.pcap'))
    .map(({ name, parentPath }) => join(parentPath, name))
}

function lostBySinks({ sinks }: Report): number {
  return sinks.reduce((sum, { dropped }) => sum + (dropped['sink-error'] ?? 0) + (dropped['sink-overflow'] ?? 0), 0)
}

/** A line of the log on standard output. */
export function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${text}\n`)
}
