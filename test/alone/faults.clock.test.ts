import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap, numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const OPTIONS = ['--listen', 'vxlan://127.0.0.1:0', '--snaplen', '18', '--buffer', '64MiB']
const HOUR = 3600

let folder = ''
let clock: FakeClock
let collector: Collector | undefined
let flood: Flood | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'faults-clock-'))
  clock = new FakeClock(join(folder, '.clock'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** A collector with a wall clock of its own. */
async function start(offset: number, ...args: string[]): Promise<Collector> {
  clock.set(offset)
  collector = await startCollector([...OPTIONS, ...args], { under: clock.under })
  return collector
}

const it = requires('build', 'linux', 'faketime', 'tcpdump', 'tshark')

it('the clock is set forward an hour, back two, and right again: files rotate by it, and no frame is lost', async () => {
  // node:dgram's frames carry the collector's own wall clock.
  const running = await start(0, '--engine', 'dgram', '--out', `pcap:${folder}/%s.pcap?rotate=1h`)
  const port = running.ports[0]!
  const offsets = [0, HOUR, -HOUR, 0]
  const began = Math.floor(Date.now() / 1000)
  let sent = 0
  for (const offset of offsets) {
    clock.set(offset)
    // A datagram that came before the clock was set is stamped by then: each part waits for the one before.
    await send(numberedDatagrams(50, { first: sent }), port)
    sent += 50
    await until('all are written', async () => (await running.statistics()).sinks[0]!.written === sent)
  }
  const took = Math.ceil(Date.now() / 1000) - began
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: sent, delivered: sent, sinks: [{ written: sent, dropped: {} }] })
  const names = readdirSync(folder).filter((name) => name.endsWith('.pcap'))
  const frames = names.flatMap((name) => framesOf(join(folder, name)))
  frames.sort((a, b) => numberOf(a.bytes) - numberOf(b.bytes))
  expect(frames.map(({ bytes }) => numberOf(bytes))).toEqual(Array.from({ length: sent }, (_, i) => i))
  for (const [i, offset] of offsets.entries()) {
    for (const { seconds } of frames.slice(50 * i, 50 * (i + 1))) {
      expect(seconds - began - offset).toBeGreaterThanOrEqual(-1)
      expect(seconds - began - offset).toBeLessThanOrEqual(took + 1)
    }
  }
  expect(running.log.filter((line) => line.level === 'error')).toEqual([])
})

it.each([
  ['back', -HOUR],
  ['forward', HOUR],
])(
  'the clock was set %s while datagrams waited: what arrived before the request to stop is taken',
  async (_way, offset) => {
    const file = join(folder, 'a.pcap')
    const running = await start(offset, '--out', `pcap:${file}`)
    running.kill('SIGSTOP')
    await until('it is stopped', () => running.state() === 'T')
    const sent = 20_000
    await send(numberedDatagrams(sent), running.ports[0]!)
    running.kill('SIGTERM')
    running.kill('SIGCONT')
    expect(await running.exit()).toBe(0)
    const report = running.report()
    expectBalance(report)
    expect(report).toMatchObject({ received: sent, kernelDropped: 0, sinks: [{ written: sent, dropped: {} }] })
    expect(firstGap(numbersRead(file))).toBe(-1)
  },
)

it.each([
  ['back', -HOUR],
  ['forward', HOUR],
])('the clock was set %s: a flood does not keep the collector from ending', async (_way, offset) => {
  const running = await start(offset, '--out', 'null')
  flood = new Flood(running.ports[0]!, 64)
  await until('it arrives', async () => (await running.statistics()).received > 5000)
  const began = performance.now()
  expect(await running.stop()).toBe(0)
  expect(performance.now() - began).toBeLessThan(5000)
  expectBalance(running.report())
})
