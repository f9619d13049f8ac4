import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap, numberedFrame, send, vxlan } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

/** Only the number of a frame is kept, which tcpdump then reads fast. */
const OPTIONS = ['--listen', 'vxlan://127.0.0.1:0', '--snaplen', '18', '--buffer', '64MiB']
const SIGHUP_FOR_MS = process.env.MC_FAULTS === 'full' ? 60_000 : 5000
const SIGHUP_EVERY_MS = 100

let folder = ''
let collector: Collector | undefined
let flood: Flood | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'faults-process-'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function start(sink: string): Promise<Collector> {
  collector = await startCollector([...OPTIONS, '--out', sink])
  return collector
}

/** Files in the order in which they were made: a.pcap, a-1.pcap, a-2.pcap, ... */
function inOrder(names: readonly string[]): string[] {
  const number = (name: string) => Number(/(\d+)\.pcap$/.exec(name)?.[1] ?? 0)
  return [...names].sort((a, b) => number(a) - number(b))
}

requires('build', 'linux', 'tcpdump')(
  'SIGHUP ten times a second in a flood: every frame is in one file, in order',
  async () => {
    const running = await start(`pcap:${folder}/a.pcap`)
    flood = new Flood(running.ports[0]!, 32)
    const end = performance.now() + SIGHUP_FOR_MS
    let signals = 0
    for (; performance.now() < end; signals++) {
      running.kill('SIGHUP')
      // The fault itself has this rhythm.
      await setTimeout(SIGHUP_EVERY_MS)
    }
    await flood.stop()
    expect(await running.stop()).toBe(0)
    const report = running.report()
    expectBalance(report)
    expect(report).toMatchObject({ received: flood.sent, delivered: flood.sent, kernelDropped: 0 })
    expect(report.sinks[0]).toMatchObject({ written: flood.sent, dropped: {} })
    const names = inOrder(readdirSync(folder))
    // Frames come to the sink four times a second: a file is made for the first ones after a signal.
    expect(names.length).toBeGreaterThan(signals / 5)
    expect(names.length).toBeLessThanOrEqual(signals + 1)
    const numbers = names.flatMap((name) => numbersRead(join(folder, name)))
    expect(numbers).toHaveLength(flood.sent)
    expect(firstGap(numbers)).toBe(-1)
    expect(running.log.filter((line) => line.level !== 'info')).toEqual([])
  },
  30_000 + 3 * SIGHUP_FOR_MS,
)

/** Lets the process open so many files more (its soft limit, which bounds the numbers of new descriptors). */
function limitDescriptors(pid: number, more: number): void {
  const used = new Set(readdirSync(`/proc/${pid}/fd`).map(Number))
  let limit = 0
  for (let free = 0; free < more || used.has(limit); limit++) if (!used.has(limit)) free++
  execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${limit}:`])
}

/** A frame in each VNI from 1 on, so often; the number of the next frame. */
async function sendToAll(running: Collector, vnis: number, rounds: number, first: number): Promise<number> {
  let number = first
  const datagrams: Buffer[] = []
  for (let round = 0; round < rounds; round++) {
    for (let vni = 1; vni <= vnis; vni++) datagrams.push(vxlan(vni, numberedFrame(number++)))
  }
  await send(datagrams, running.ports[0]!)
  return number
}

requires(
  'build',
  'root',
  'prlimit',
  'tcpdump',
)('with fewer descriptors than files, the files take turns and no frame is lost', async () => {
  const VNIS = 60
  const running = await start(`pcap:${folder}/{vni}.pcap`)
  limitDescriptors(running.pid, 8)
  let sent = 0
  for (let round = 0; round < 5; round++) {
    sent = await sendToAll(running, VNIS, 3, sent)
    await until('all are written or lost', async () => {
      const { written, dropped } = (await running.statistics()).sinks[0]!
      return written + (dropped['sink-error'] ?? 0) === sent
    })
  }
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: sent, delivered: sent })
  expect(report.sinks[0]).toMatchObject({ written: sent, dropped: {} })
  for (let vni = 1; vni <= VNIS; vni++) {
    const expected = Array.from({ length: 15 }, (_, i) => i * VNIS + vni - 1)
    expect(numbersRead(join(folder, `${vni}.pcap`))).toEqual(expected)
  }
  expect(running.log.filter((line) => line.level === 'error')).toEqual([])
})

requires(
  'build',
  'root',
  'prlimit',
  'tcpdump',
)('without any descriptor frames are counted as lost, and writing goes on when there is one', async () => {
  const running = await start(`pcap:${folder}/{vni}.pcap`)
  limitDescriptors(running.pid, 0)
  const lost = async () => (await running.statistics()).sinks[0]!.dropped['sink-error'] ?? 0
  let sent = await sendToAll(running, 5, 4, 0)
  await until('they are counted', async () => (await lost()) === 20)
  limitDescriptors(running.pid, 100)
  sent = await sendToAll(running, 5, 2, sent)
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: sent, sinks: [{ written: 10, dropped: { 'sink-error': 20 } }] })
  for (let vni = 1; vni <= 5; vni++) expect(numbersRead(join(folder, `${vni}.pcap`))).toEqual([19 + vni, 24 + vni])
  const problems = running.log.filter((line) => line.level !== 'info')
  expect(problems).toMatchObject([
    { level: 'error', msg: expect.stringContaining('EMFILE') },
    { level: 'warn', msg: 'Writing again; 20 frames were lost.' },
  ])
})

requires(
  'build',
  'root',
  'strace',
  'tcpdump',
)('a worker that throws ends the program with what it had written and counted, and two lines', async () => {
  const file = join(folder, 'a.pcap')
  const running = await start(`pcap:${file}`)
  flood = new Flood(running.ports[0]!, 32)
  await until('it writes', async () => (await running.statistics()).sinks[0]!.written > 5000)
  const fault = ['-e', 'trace=recvmmsg', '-e', 'inject=recvmmsg:error=EIO']
  const strace = spawn('strace', ['-f', '-q', '-o', '/dev/null', ...fault, '-p', `${running.pid}`])
  const traced = once(strace, 'close')
  expect(await running.exit()).toBe(70)
  await traced
  const report = running.report()
  expectBalance(report)
  expect(report.sinks[0]).toMatchObject({ written: report.received, dropped: {} })
  const numbers = numbersRead(file)
  expect(numbers).toHaveLength(report.received)
  expect(firstGap(numbers)).toBe(-1)
  expect(running.stderr).toContain('EIO')
  expect(running.stderr).not.toContain('UnhandledPromise')
})
