import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import {
  type Collector,
  type CollectorOptions,
  expectBalance,
  type Report,
  startCollector,
} from '../support/collector.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'root', 'namespaces', 'ip', 'ethtool', 'strace', 'tcpdump')
/** Only the number of a frame is kept, which tcpdump then reads fast. */
const OPTIONS = ['--listen', 'vxlan://127.0.0.1:4789', '--snaplen', '18', '--buffer', '256MiB']
const STRACE_MS = 500
/** A ring that always has a block when its nap is over is never polled: the flood pauses for as long, again and again. */
const PAUSE_MS = 50
/** Datagrams about every millisecond. */
const PACE = 32

let namespace: OwnNamespace
let folder = ''
let collector: Collector | undefined
let flood: Flood | undefined
beforeEach(() => {
  namespace = new OwnNamespace()
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  // A ring would see many datagrams as one.
  execFileSync('ethtool', ['-K', 'lo', 'tx-udp-segmentation', 'off'])
  folder = mkdtempSync(join(tmpdir(), 'faults-workers-'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
  namespace.leave()
})

async function start(engine: 'udp' | 'ring', workers: number, options?: CollectorOptions): Promise<Collector> {
  const args = [...OPTIONS, '--engine', engine, '--workers', String(workers), '--out', `pcap:${folder}/a.pcap`]
  collector = await startCollector(args, options)
  const running = collector
  flood = new Flood(running.ports[0]!, PACE)
  await until('it writes', async () => (await running.statistics()).sinks[0]!.written > 5000)
  return running
}

/** The threads of a process, the busiest first. */
function threadsOf(pid: number): string[] {
  const time = (thread: string) => {
    const [, , ...fields] = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
      .replace(/^.*\) /s, '- - ')
      .split(' ')
    return Number(fields[11]) + Number(fields[12])
  }
  return readdirSync(`/proc/${pid}/task`).sort((a, b) => time(b) - time(a))
}

/** The next such call of one thread, the busiest that makes it, fails. */
async function failOnce(pid: number, call: string): Promise<void> {
  const pauses = setInterval(() => {
    flood!.isPaused = call === 'poll' && !flood!.isPaused
  }, PAUSE_MS)
  try {
    await failInOne(pid, call)
  } finally {
    clearInterval(pauses)
    flood!.isPaused = false
  }
}

async function failInOne(pid: number, call: string): Promise<void> {
  for (const thread of threadsOf(pid)) {
    const trace = join(folder, `trace-${thread}`)
    const fault = ['-e', `trace=${call}`, '-e', `inject=${call}:error=EIO:when=1`]
    const strace = spawn('strace', ['-q', '-o', trace, ...fault, '-p', thread], { stdio: 'ignore' })
    const closed = once(strace, 'close')
    await Promise.race([closed, setTimeout(STRACE_MS)])
    strace.kill('SIGINT')
    await closed
    if (existsSync(trace) && readFileSync(trace, 'utf8').includes('EIO')) return
  }
  throw new Error(`no thread calls ${call}`)
}

function deaths(running: Collector): number {
  return running.log.filter(({ msg }) => / died and is started again/.test(String(msg))).length
}

/** The flood's end, and the collector's: all that was sent was received, so often did a worker die. */
async function ended(running: Collector, restarts: number): Promise<{ report: Report; numbers: number[] }> {
  await flood!.stop()
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: flood!.sent, kernelDropped: 0, workerRestarts: restarts })
  return { report, numbers: numbersRead(join(folder, 'a.pcap')) }
}

it.each([
  ['udp', 'socket', 1],
  ['udp', 'socket', 2],
  ['ring', 'ring', 1],
  ['ring', 'ring', 2],
] as const)(
  'engine %s: its successor goes on with the %s of the busy worker that threw in a flood, of %i, and not one frame is lost',
  async (engine, _what, workers) => {
    const running = await start(engine, workers)
    await failOnce(running.pid, engine === 'udp' ? 'recvmmsg' : 'poll')
    await until('the log says so', () => deaths(running) === 1)
    const { written } = (await running.statistics()).sinks[0]!
    await until('it writes on', async () => (await running.statistics()).sinks[0]!.written > written + 5000)
    const { numbers } = await ended(running, 1)
    expect(numbers).toHaveLength(flood!.sent)
    expect(firstGap(numbers)).toBe(-1)
    expect(running.stderr).toContain('EIO')
    expect(running.stderr).toContain('1 times a worker died and was started again')
  },
)

/** Loaded into every thread by NODE_OPTIONS: a worker that sees the file fills its heap until V8 ends it, as a leak would. */
const LEAK = `
const { isMainThread, workerData } = require('node:worker_threads')
const { unlinkSync } = require('node:fs')
// Threads of sinks have data, pipelines' workers get a plan as a message.
if (!isMainThread && workerData == null) {
  const timer = setInterval(() => {
    try { unlinkSync(process.env.LEAK_NOW) } catch { return }
    const heap = []
    for (;;) heap.push(new Array(100_000).fill(heap.length))
  }, 5)
  timer.unref()
}`

it.each(['udp', 'ring'] as const)(
  'engine %s: a worker that runs out of memory, so that none of its own code runs any more, has a successor',
  async (engine) => {
    const hook = join(folder, 'leak.cjs')
    const now = join(folder, 'now')
    writeFileSync(hook, LEAK)
    const environment = [`NODE_OPTIONS=--require ${hook} --max-old-space-size=96`, `LEAK_NOW=${now}`]
    const running = await start(engine, 2, { under: ['env', ...environment] })
    for (let round = 1; round <= 3; round++) {
      writeFileSync(now, '')
      await until('the log says so', () => deaths(running) === round)
      const { written } = (await running.statistics()).sinks[0]!
      // Idle workers may be the ones that die: the flood goes on in any case.
      await until('it writes on', async () => (await running.statistics()).sinks[0]!.written > written + 5000)
    }
    const { report, numbers } = await ended(running, 3)
    expect(numbers).toHaveLength(flood!.sent - (report.dropped['worker-died'] ?? 0) - lost(report.sinks[0]!.dropped))
    expect(numbers.every((number, i) => i === 0 || number > numbers[i - 1]!)).toBe(true)
    expect(running.stderr).toContain('ERR_WORKER_OUT_OF_MEMORY')
  },
)

function lost(dropped: Record<string, number>): number {
  return Object.values(dropped).reduce((sum, frames) => sum + frames, 0)
}
