import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap, numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'tshark', 'tcpdump')
const SIGHUP_FOR_MS = process.env.MC_FAULTS === 'full' ? 60_000 : 8000
const READ_AGAIN = 'The configuration was read again.'

let folder = ''
let config = ''
let collector: Collector
let flood: Flood | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reload-'))
  config = join(folder, 'a.yaml')
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function start(text: string): Promise<void> {
  writeFileSync(config, text)
  collector = await startCollector(['--config', config, '--listen', 'vxlan://127.0.0.1:0'])
}

function logged(text: string): number {
  return collector.log.filter(({ msg }) => String(msg).includes(text)).length
}

async function change(text: string, answer = READ_AGAIN): Promise<void> {
  const before = logged(answer)
  writeFileSync(config, text)
  collector.kill('SIGHUP')
  await until(`the log says: ${answer}`, () => logged(answer) > before)
}

async function sendMore(frames: number, vni: number): Promise<void> {
  const { received } = await collector.statistics()
  await send(numberedDatagrams(frames, { vni }), collector.ports[0]!)
  await until('all have arrived', async () => (await collector.statistics()).received === received + frames)
}

it('in a flood, identifiers come and go without one frame unaccounted for', async () => {
  const file = join(folder, 'a.pcap')
  const text = (vni: string) => `vni: "${vni}"\nout: [pcap:${folder}/a.pcap, "null"]\n`
  await start(text('100'))
  flood = new Flood(collector.ports[0]!, 64)
  for (let round = 0; round < 3; round++) {
    const { delivered } = await collector.statistics()
    await until('frames are let in', async () => (await collector.statistics()).delivered > delivered + 500)
    await change(text('!100'))
    const refused = (await collector.statistics()).dropped['vni-not-allowed'] ?? 0
    await until('frames are refused', async () => {
      const { dropped } = await collector.statistics()
      return (dropped['vni-not-allowed'] ?? 0) > refused + 500
    })
    await change(text('100'))
  }
  await flood.stop()
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: flood.sent, kernelDropped: 0, sinks: [{ dropped: {} }, { dropped: {} }] })
  // SIGHUP also finished a file and began another, each time.
  const numbers = filesOf(file).flatMap((path) => framesOf(path).map(({ bytes }) => numberOf(bytes)))
  expect(numbers).toHaveLength(report.delivered)
  expect(new Set(numbers).size).toBe(report.delivered)
  expect(report.dropped['vni-not-allowed']).toBe(flood.sent - numbers.length)
})

/** The first file, and those that gave its name a number. */
function filesOf(first: string): string[] {
  const numbered = Array.from({ length: 200 }, (_, i) => first.replace(/\.pcap$/, `-${i + 1}.pcap`))
  return [first, ...numbered].filter((path) => existsSync(path))
}

it('senders, filters, samples and what each sink wants change, too', async () => {
  const text = (allow: string, more: string, vni: string) =>
    `allow-from: ${allow}\n${more}\nout: {type: "null", vni: ${vni}}\n`
  await start(text('127.0.0.0/8', '', '5'))
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 10, sinks: [{ written: 10 }] })
  await change(text('127.0.0.0/8', '', '6'))
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({
    delivered: 20,
    sinks: [{ written: 10, dropped: { 'not-selected': 10 } }],
  })
  await change(text('10.0.0.0/8', '', '5'))
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 20, dropped: { 'source-not-allowed': 10 } })
  await change(text('127.0.0.1', '', '5'))
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 30, sinks: [{ written: 20 }] })
  await change(text('127.0.0.1', 'filter: ether proto 0x1234', '5'))
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 30, dropped: { filtered: 10 } })
  await change(text('127.0.0.1', 'sample: 1/4294967296', '5'))
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 30, dropped: { sampled: 10 } })
  await change(text('127.0.0.1', '', '5'))
  await sendMore(10, 5)
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: 70, delivered: 40, sinks: [{ written: 30 }] })
})

it('a file that is wrong is refused, and the old configuration goes on', async () => {
  await start('vni: 5\nout: "null"\n')
  await change('vnis: 6\nout: "null"\n', 'a.yaml:1:7: "vnis" is no option; the nearest is "vni"')
  await change('vni: 6\nfilter: tcp prt 5\nout: "null"\n', '--filter "tcp prt 5"')
  expect(logged('is refused, the old one goes on')).toBe(2)
  expect(logged('the nearest is "vni". Its keys are')).toBe(1)
  rmSync(config)
  collector.kill('SIGHUP')
  await until('that is said', () => logged('Cannot read the configuration') === 1)
  await change('', 'a.yaml is empty')
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 10 })
  await change('vni: 6\nout: "null"\n')
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 10, dropped: { 'vni-not-allowed': 10 } })
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())
})

it('what cannot change while it runs is named, and the rest changes', async () => {
  await start('vni: 5\nout: "null"\n')
  await change('vni: 6\nbuffer: 1MiB\ndedup: 50ms\nallow-from: 127.0.0.1\nout: ["null", "pcap:-"]\n')
  await until('they are named', () => logged('only after a restart') === 1)
  const [{ msg }] = collector.log.filter((line) => String(line.msg).includes('only after a restart')) as [
    { msg: string },
  ]
  for (const name of ['--buffer', '--dedup', '--allow-from', '--out pcap:-, which is new']) expect(msg).toContain(name)
  expect(msg).not.toContain('--vni')
  await sendMore(10, 6)
  expect(await collector.statistics()).toMatchObject({ delivered: 10, sinks: [{ written: 10 }] })
  expect(await collector.stop()).toBe(0)
})

it('without a file SIGHUP reads nothing', async () => {
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', 'null'])
  collector.kill('SIGHUP')
  await sendMore(10, 5)
  expect(logged(READ_AGAIN)).toBe(0)
  expect(await collector.stop()).toBe(0)
})

/** The numbers in all files that began under this name, each file's in order. */
function numbersIn(first: string): number[] {
  return filesOf(first).flatMap((path) => numbersRead(path))
}

it('in a flood, sinks come and go: each has every frame from one moment to another, and those that stay have all', async () => {
  const text = (...sinks: string[]) =>
    `snaplen: 18\nbuffer: 64MiB\nout: [${['stays', ...sinks].map((name) => `"pcap:${folder}/${name}.pcap"`)}]\n`
  await start(text())
  flood = new Flood(collector.ports[0]!, 64)
  const moreThan = async (sink: number, frames: number) =>
    await until('it writes', async () => ((await collector.statistics()).sinks[sink]?.written ?? 0) > frames)
  const ROUNDS = 5
  for (let round = 0; round < ROUNDS; round++) {
    await change(text(`comes-${round}`))
    await moreThan(1, 1000)
  }
  await change(text())
  await flood.stop()
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: flood.sent, delivered: flood.sent, kernelDropped: 0 })
  expect(report.sinks).toHaveLength(1 + ROUNDS)
  const all = numbersIn(join(folder, 'stays.pcap'))
  expect(all).toHaveLength(flood.sent)
  expect(firstGap(all)).toBe(-1)
  let end = 0
  for (let round = 0; round < ROUNDS; round++) {
    const some = numbersIn(join(folder, `comes-${round}.pcap`))
    const { written, offered, dropped } = report.sinks.find(({ sink }) => sink.endsWith(`comes-${round}.pcap`))!
    expect([written, offered, dropped]).toEqual([some.length, some.length, {}])
    expect(firstGap(some, some[0])).toBe(-1)
    // One went in the same moment in which the next one came.
    if (round > 0) expect(some[0]).toBe(end)
    end = some.at(-1)! + 1
  }
})

it(
  'SIGHUP ten times a second, each time other sinks, at two workers: nothing is lost, nor the place of what has gone',
  async () => {
    // Three queues of 300 MiB at each worker: not even two rounds of them find room at once.
    const text = (round: number) =>
      `workers: 2\nsnaplen: 18\nbuffer: 64MiB\nout: ["pcap:${folder}/stays.pcap", "pcap:${folder}/comes.pcap?queue=${300 + (round % 2)}MiB", {type: "null", vni: ${100 + (round % 2)}}]\n`
    await start(text(0))
    flood = new Flood(collector.ports[0]!, 32)
    const end = performance.now() + SIGHUP_FOR_MS
    for (let round = 1; performance.now() < end; round++) {
      // In one step, as a file that is half written is refused.
      writeFileSync(`${config}.new`, text(round))
      renameSync(`${config}.new`, config)
      collector.kill('SIGHUP')
      // The fault itself has this rhythm.
      await setTimeout(100)
    }
    await until('sinks have come and gone', () => logged(READ_AGAIN) > 10)
    await flood.stop()
    expect(await collector.stop()).toBe(0)
    const report = collector.report()
    expectBalance(report)
    expect(report).toMatchObject({ received: flood.sent, delivered: flood.sent, kernelDropped: 0 })
    expect(report.sinks[0]).toMatchObject({ written: flood.sent, dropped: {} })
    const all = numbersIn(join(folder, 'stays.pcap'))
    expect(all).toHaveLength(flood.sent)
    expect(firstGap(all)).toBe(-1)
    expect(collector.log.filter(({ level }) => level !== 'info')).toEqual([])
  },
  30_000 + 3 * SIGHUP_FOR_MS,
)

it('a sink that cannot be had refuses the whole configuration, and what was opened beside it is gone again', async () => {
  await start('vni: 5\nout: "null"\n')
  const bad = `out: ["null", "pcap:${folder}/new.pcap", "pcap:${folder}/none/b.pcap"]\n`
  await change(`vni: 6\n${bad}`, 'is refused, the old one goes on')
  expect(existsSync(join(folder, 'new.pcap'))).toBe(false)
  await sendMore(10, 5)
  expect(await collector.statistics()).toMatchObject({ delivered: 10, sinks: [{ written: 10 }] })
  await change(`vni: 6\nout: ["pcap:${folder}/new.pcap"]\n`)
  await sendMore(10, 6)
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())
  expect(collector.report().sinks).toMatchObject([
    { sink: `pcap:${folder}/new.pcap`, written: 10, offered: 10 },
    { sink: 'null', written: 10, offered: 10 },
  ])
  // The SIGHUP that brought the sink asks only those before it for another file.
  expect(numbersRead(join(folder, 'new.pcap'))).toHaveLength(10)
  expect(existsSync(join(folder, 'new-1.pcap'))).toBe(false)
  expect(collector.log.find(({ added }) => added !== undefined)).toMatchObject({
    added: [`pcap:${folder}/new.pcap`],
    removed: ['null'],
  })
})
