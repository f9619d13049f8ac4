/**
 * Faults at random beside a flood: npm run soak -- [--minutes N] [--seed S]     (root)
 * The collector lives several times; each life ends with the accounting checked against what was sent, or by kill -9. Exit code 1
 * when a sum is wrong, a file is broken, or memory grew. The same seed has the same faults in the same order.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { randomNumbers } from '../support/random.ts'
import { Flood } from '../support/sender.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { FAULTS, type Scene } from './faults.ts'
import { MemoryWatch } from './memory.ts'

const LIFE_MINUTES = 5
const KILLED_ONE_IN = 4
const DISK_MEBIBYTES = 48
const FLOOD_PACE = 32
const VNIS = 2 ** 24
/** Above this memory is not flat. A table of all that ever came, of 20 bytes each, would be 34 MiB a minute in this flood. */
const STEEPEST_MIB_A_MINUTE = 4
const USAGE = 64

interface Total {
  lives: number
  killed: number
  faults: number
  received: number
  kernelDropped: number
  lost: number
}

async function live(place: string, minutes: number, random: () => number, isKilled: boolean, total: Total) {
  const disks = ['one', 'two'].map((name) => new SmallDisk(join(place, name), DISK_MEBIBYTES))
  const folder = join(place, 'folder')
  mkdirSync(folder)
  const collector = await startCollector(options(place))
  const memory = new MemoryWatch(collector.pid)
  const scene: Scene = { collector, port: collector.ports[0]!, disks, folder, random, sent: 0 }
  // Half of the frames in one tunnel, the others in any.
  const vnis = randomNumbers(1)
  const flood = new Flood(scene.port, FLOOD_PACE, (number) => (number % 2 === 0 ? 100 : Math.floor(vnis() * VNIS)))
  try {
    total.faults += await faultsUntil(performance.now() + minutes * 60_000, scene)
    memory.stop()
    if (isKilled) {
      await collector.stop('SIGKILL')
      total.killed++
      return say(`killed; at most ${memory.largest.toFixed(0)} MiB`)
    }
    await flood.stop()
    await check(collector, flood.sent + scene.sent, place, memory, total)
  } finally {
    memory.stop()
    await flood.stop()
    await collector.dispose()
    for (const disk of disks) disk.dispose()
  }
}

function options(place: string): string[] {
  const sinks = [
    `pcap:${place}/one/a.pcap?rotate=8MiB&keep=3`,
    `pcapng:${place}/two/%Y%m%d-%H%M%S.pcapng?rotate=8MiB&keep=3&compress=gzip`,
    `pcap:${place}/folder/%Y%m%d-%H%M%S.pcap?rotate=5s&keep=2`,
    'null?vni=100',
  ]
  const listen = ['--listen', 'vxlan://127.0.0.1:0', '--allow-from', '127.0.0.1', '--buffer', '128MiB']
  return [...listen, '--snaplen', '96', '--dedup', '50ms', ...sinks.flatMap((sink) => ['--out', sink])]
}

async function faultsUntil(end: number, scene: Scene): Promise<number> {
  const faults = [...FAULTS]
  let count = 0
  while (performance.now() < end) {
    const [name, fault] = faults[Math.floor(scene.random() * faults.length)]!
    say(name)
    await fault(scene)
    count++
    await setTimeout(1000 * scene.random())
  }
  return count
}

/** @throws an error that names the sum, the file or the slope that is wrong */
async function check(collector: Collector, sent: number, place: string, memory: MemoryWatch, total: Total) {
  const code = await collector.stop()
  if (code !== 0) throw new Error(`ended with ${code}; standard error:\n${collector.stderr}`)
  const report = collector.report()
  expectBalance(report)
  if (report.received + report.kernelDropped !== sent) {
    throw new Error(`${sent} sent, ${report.received} received, ${report.kernelDropped} dropped by the kernel`)
  }
  const files = ['one', 'two', 'folder'].flatMap((name) => wholeFiles(join(place, name))).length
  total.received += report.received
  total.kernelDropped += report.kernelDropped
  total.lost += lostBySinks(report)
  const slope = memory.slope === undefined ? 'too short to tell a slope' : `${memory.slope.toFixed(2)} MiB a minute`
  say(`balanced: ${JSON.stringify(report.sinks.map(({ written, dropped }) => ({ written, dropped })))}`)
  say(`${report.received} received, ${JSON.stringify(report.dropped)}, kernel ${report.kernelDropped}`)
  say(`${files} files whole; at most ${memory.largest.toFixed(0)} MiB, ${slope}`)
  if ((memory.slope ?? 0) > STEEPEST_MIB_A_MINUTE) throw new Error(`memory grows by ${slope}`)
}

function wholeFiles(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => name.includes('.pcap'))
    .map((name) => execFileSync('capinfos', ['-cM', join(folder, name)], { stdio: 'pipe' }).length)
}

function lostBySinks({ sinks }: Report): number {
  return sinks.reduce((sum, { dropped }) => sum + (dropped['sink-error'] ?? 0) + (dropped['sink-overflow'] ?? 0), 0)
}

function say(text: string): void {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${text}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } })
  const minutes = Number(values.minutes ?? 10)
  const seed = Number(values.seed ?? Date.now() % 2 ** 31)
  if (!(minutes > 0) || !Number.isInteger(seed)) {
    process.stderr.write('usage: npm run soak -- [--minutes N] [--seed S]\n')
    process.exit(USAGE)
  }
  say(`seed ${seed}`)
  const random = randomNumbers(seed)
  const total: Total = { lives: 0, killed: 0, faults: 0, received: 0, kernelDropped: 0, lost: 0 }
  const end = performance.now() + minutes * 60_000
  for (let left = minutes; left > 0; left = (end - performance.now()) / 60_000) {
    const isLast = left <= LIFE_MINUTES
    const place = mkdtempSync(join(tmpdir(), 'soak-'))
    try {
      await live(place, Math.min(left, LIFE_MINUTES), random, !isLast && random() < 1 / KILLED_ONE_IN, total)
    } finally {
      rmSync(place, { recursive: true, force: true })
    }
    total.lives++
    if (isLast) break
  }
  say(`passed, seed ${seed}: ${JSON.stringify(total)}`)
}

main().catch((error: unknown) => {
  say(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
  process.exitCode = 1
})
