import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { Flood, numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'capinfos', 'tshark')

let folder = ''
let file = ''
let collector: Collector
let flood: Flood | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'signals-'))
  file = join(folder, 'out.pcap')
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function start(...options: string[]): Promise<void> {
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', `pcap:${file}`, ...options])
}

async function startFlood(): Promise<void> {
  flood = new Flood(collector.ports[0]!)
  await until('the flood arrives', async () => (await collector.statistics()).received > 50_000)
}

/** capinfos fails, and says so, when a file ends within a record. */
function packetsIn(path: string): number {
  return Number(/Number of packets:\s+(\d+)/.exec(output('capinfos', '-cM', path))![1])
}

function expectAllWritten(report: Report): void {
  expectBalance(report)
  expect(report.received).toBeGreaterThan(50_000)
  expect(report.delivered).toBe(report.received)
  expect(packetsIn(file)).toBe(report.sinks[0]!.written)
}

it.each(['SIGTERM', 'SIGINT'] as const)(
  '%s in a flood ends it on a whole record, with every frame accounted for',
  async (signal) => {
    await start()
    await startFlood()
    expect(await collector.stop(signal)).toBe(0)
    expectAllWritten(collector.report())
  },
)

it('SIGTERM again and again changes nothing', async () => {
  await start()
  await startFlood()
  for (let i = 0; i < 20; i++) collector.kill('SIGTERM')
  expect(await collector.stop()).toBe(0)
  expectAllWritten(collector.report())
})

it('what was sent before SIGTERM is written, whatever comes after', async () => {
  await start()
  flood = new Flood(collector.ports[0]!, 64)
  await until('the flood arrives', async () => (await collector.statistics()).received > 2000)
  const { sent } = flood
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ kernelDropped: 0, dropped: {} })
  expect(report.sinks[0]!.dropped).toEqual({})
  const numbers = framesOf(file).map((frame) => numberOf(frame.bytes))
  expect(numbers.length).toBeGreaterThanOrEqual(sent)
  expect(numbers).toEqual(numbers.map((_, i) => i))
})

it('SIGHUP after a rename gives the new file the old name, and nothing is lost in between', async () => {
  await start()
  flood = new Flood(collector.ports[0]!, 64)
  const moved = ['1', '2', '3'].map((number) => `${file}.${number}`)
  for (const name of moved) {
    const { received } = await collector.statistics()
    await until('more arrives', async () => (await collector.statistics()).received > received + 1000)
    renameSync(file, name)
    collector.kill('SIGHUP')
    await until('there is a new file', () => existsSync(file))
  }
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ kernelDropped: 0, sinks: [{ dropped: {} }] })
  const numbers = [...moved, file].flatMap((name) => framesOf(name).map((frame) => numberOf(frame.bytes)))
  expect(numbers).toEqual(Array.from({ length: report.received }, (_, i) => i))
})

it('SIGUSR1 tells the statistics, and opens no inspector', async () => {
  await start()
  await send(numberedDatagrams(5), collector.ports[0]!)
  await until('all are told', async () => (await collector.statistics()).sinks[0]!.written === 5)
  expect(await collector.statistics()).toMatchObject({ received: 5, delivered: 5, dropped: {}, vnis: { 100: 5 } })
  expect(collector.stderr).not.toMatch(/debugger/i)
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())
})

it('--count ends by itself after exactly so many frames, though more arrive', async () => {
  await start('--count', '1000')
  await send([...numberedDatagrams(10, { vni: 1 }), ...numberedDatagrams(2000)], collector.ports[0]!)
  expect(await collector.exit()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ delivered: 1000, vnis: { 1: 10, 100: 990 }, sinks: [{ written: 1000 }] })
  expect(packetsIn(file)).toBe(1000)
})

it('--duration ends by itself after that time, in a flood, too', async () => {
  const began = performance.now()
  await start('--duration', '1500ms')
  flood = new Flood(collector.ports[0]!)
  expect(await collector.exit()).toBe(0)
  const took = performance.now() - began
  expect(took).toBeGreaterThan(1500)
  expect(took).toBeLessThan(6000)
  expectAllWritten(collector.report())
})

it('--stats logs the same numbers again and again', async () => {
  await start('--stats', '100ms')
  await send(numberedDatagrams(7), collector.ports[0]!)
  const statistics = () => collector.log.filter((line) => line.msg === 'Statistics.')
  await until('statistics tell the frames', () => statistics().some((line) => line.delivered === 7))
  const count = statistics().length
  await until('statistics go on', () => statistics().length > count + 2)
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())
})

it('a signal before anything arrived ends it with an empty file that readers take', async () => {
  await start()
  expect(await collector.stop()).toBe(0)
  expect(collector.report()).toMatchObject({ received: 0, sinks: [{ written: 0 }] })
  expect(packetsIn(file)).toBe(0)
})
