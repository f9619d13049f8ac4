import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { DyingWorkers } from '../support/dying-workers.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { requires } from '../support/requirements.ts'
import { Flood, send } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'mkfifo', 'tcpdump')
/** Datagrams in a millisecond. */
const PACE = 3

let folder = ''
let fifo = ''
let reader = 0
let timer: NodeJS.Timeout | undefined
let collector: Collector
let flood: Flood | undefined
let workers: DyingWorkers
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'faults-stalled-'))
  workers = new DyingWorkers(folder)
  fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
})
afterEach(async () => {
  clearInterval(timer)
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  closeSync(reader)
  rmSync(folder, { recursive: true, force: true })
})

/** From now on the FIFO's reader reads. */
function read(): void {
  const chunk = Buffer.alloc(1 << 16)
  timer = setInterval(() => {
    try {
      while (readSync(reader, chunk) > 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }, 1)
}

async function startBeside(...args: string[]): Promise<void> {
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--buffer', '64MiB', ...args], workers.options)
  flood = new Flood(collector.ports[0]!, PACE)
}

function sinkOf(report: Report, name: string): Report['sinks'][number] {
  return report.sinks.find(({ sink }) => sink.includes(name))!
}

async function writesOn(name: string, frames = 2000): Promise<void> {
  const { written } = sinkOf(await collector.statistics(), name)
  await until(`${name} writes on`, async () => sinkOf(await collector.statistics(), name).written > written + frames)
}

/** What has come to an end there. */
function endOf({ written, dropped }: Report['sinks'][number]): number {
  return Object.values(dropped).reduce((sum, frames) => sum + frames, written)
}

async function overflow(): Promise<number> {
  return sinkOf(await collector.statistics(), 'fifo').dropped['sink-overflow'] ?? 0
}

async function hasAllAgain(): Promise<boolean> {
  const before = await overflow()
  await writesOn('fifo', 500)
  return (await overflow()) === before
}

/** All that was sent came, and every frame is in one place; what the healthy sink's file has it has told. */
async function ended(restarts: number): Promise<Report> {
  await flood!.stop()
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: flood!.sent, kernelDropped: 0, workerRestarts: restarts })
  const healthy = sinkOf(report, 'a.pcap')
  // What a worker had not handed over yet when it died.
  expect(Object.keys(healthy.dropped).filter((reason) => reason !== 'worker-died')).toEqual([])
  expect(numbersRead(join(folder, 'a.pcap'))).toHaveLength(healthy.written)
  return report
}

it.each(['last', 'first'])(
  'a stalled sink, %s, and four deaths: the other sink has all, and the stalled one goes on when it can',
  async (place) => {
    const outs = [`pcap:${folder}/a.pcap`, `pcap:${fifo}`]
    if (place === 'first') outs.reverse()
    await startBeside(...outs.flatMap((out) => ['--out', out]))
    for (let death = 1; death <= 4; death++) {
      await writesOn('a.pcap')
      await workers.kill(collector)
    }
    await writesOn('a.pcap')
    expect(await overflow()).toBeGreaterThan(0)
    const told = () => collector.log.filter(({ msg }) => /its queue is full/.test(String(msg)))
    await until('the log says so', () => told().length > 0)
    read()
    await until('it has all again', hasAllAgain)
    expect(told().map(({ sink }) => sink)).toEqual([`pcap:${fifo}`])
    await ended(4)
  },
)

it('a stalled sink at the end: what its queues still have is counted, too', async () => {
  await startBeside('--out', `pcap:${folder}/a.pcap`, '--out', `pcap:${fifo}`)
  for (let death = 1; death <= 3; death++) {
    await writesOn('a.pcap')
    await workers.kill(collector)
  }
  await writesOn('a.pcap')
  const stalled = sinkOf(await ended(3), 'fifo')
  expect(stalled.dropped['sink-overflow']).toBeGreaterThan(0)
  expect(stalled.dropped['sink-error']).toBeGreaterThan(0)
})

it('a stalled sink that came by SIGHUP with a queue that there is no second room for', async () => {
  const config = join(folder, 'a.yaml')
  writeFileSync(config, 'out: "null"\n')
  await startBeside('--config', config)
  writeFileSync(config, `out: ["pcap:${folder}/a.pcap", "pcap:${fifo}?queue=600MiB"]\n`)
  collector.kill('SIGHUP')
  await until('it is there', async () => (await collector.statistics()).sinks.length === 3)
  await writesOn('a.pcap')
  await workers.kill(collector)
  await writesOn('a.pcap')
  expect(await overflow()).toBeGreaterThan(0)
  read()
  await until('it has all again', hasAllAgain)
  await ended(1)
})

it('a stalled quarantine: the packets that found no room count as its own, and it goes on when it can', async () => {
  const listen = ['--listen', 'vxlan://127.0.0.1:0', '--out', 'null', '--quarantine', fifo]
  collector = await startCollector(listen, workers.options)
  type WithQuarantine = Report & { quarantine: Report['sinks'][number] }
  const told = async () => ((await collector.statistics()) as WithQuarantine).quarantine
  let sent = 0
  // Without VXLAN's I flag; together more than a pipe holds.
  const sendMore = async () => {
    sent += 1000
    await send(Array<Buffer>(1000).fill(Buffer.alloc(68)), collector.ports[0]!)
    await until('all have arrived', async () => (await collector.statistics()).received === sent)
  }
  for (let death = 1; death <= 2; death++) {
    await sendMore()
    await workers.kill(collector)
  }
  await sendMore()
  expect((await told()).dropped['sink-overflow']).toBe(1000)
  read()
  await until('what waited has gone out', async () => endOf(await told()) === 3000)
  await until('it is written to again', async () => {
    await sendMore()
    return (await told()).written > 2000
  })
  expect(await collector.stop()).toBe(0)
  const { quarantine, received } = collector.report() as WithQuarantine
  expectBalance(collector.report())
  expect(received).toBe(sent)
  expect(endOf(quarantine)).toBe(sent)
})
