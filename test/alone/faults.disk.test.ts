import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap, numberedDatagrams, send } from '../support/sender.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { until } from '../support/waiting.ts'

/** Only the number of a frame is kept, which tcpdump then reads fast. */
const SHORT = ['--snaplen', '18', '--buffer', '64MiB']
/** A number that no flood gets to. */
const LAST = 0xffff_0000

let folder = ''
let collector: Collector | undefined
let flood: Flood | undefined
let disks: SmallDisk[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'faults-disk-'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  for (const disk of disks) disk.dispose()
  disks = []
  rmSync(folder, { recursive: true, force: true })
})

function smallDisk(name: string): SmallDisk {
  const disk = new SmallDisk(join(folder, name), 16)
  disks.push(disk)
  return disk
}

async function start(port: number, ...args: string[]): Promise<Collector> {
  collector = await startCollector(['--listen', `vxlan://127.0.0.1:${port}`, ...SHORT, ...args])
  return collector
}

async function sinkNumbers(running: Collector, i: number): Promise<{ written: number; lost: number }> {
  const { written, dropped } = (await running.statistics()).sinks[i]!
  return { written, lost: dropped['sink-error'] ?? 0 }
}

requires(
  'build',
  'root',
  'tcpdump',
)('two sinks fail in turn: each counts what it lost, the third loses nothing', async () => {
  const small = [smallDisk('one'), smallDisk('two')]
  const files = [...small.map(({ path }) => join(path, 'small.pcap')), join(folder, 'all.pcap')]
  const running = await start(0, ...files.flatMap((file) => ['--out', `pcap:${file}`]))
  flood = new Flood(running.ports[0]!, 32)
  for (const i of [0, 1, 0, 1]) {
    const before = await sinkNumbers(running, i)
    small[i]!.fill()
    await until('frames are lost', async () => (await sinkNumbers(running, i)).lost > before.lost + 500)
    const { written } = await sinkNumbers(running, i)
    small[i]!.free()
    await until('it writes again', async () => (await sinkNumbers(running, i)).written > written + 500)
  }
  await flood.stop()
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: flood.sent, kernelDropped: 0, dropped: {} })
  for (const [i, sink] of report.sinks.entries()) {
    const numbers = numbersRead(files[i]!)
    expect(numbers).toHaveLength(sink.written)
    expect(numbers.every((number, k) => k === 0 || number > numbers[k - 1]!)).toBe(true)
    expect(Object.keys(sink.dropped)).toEqual(i < 2 ? ['sink-error'] : [])
  }
  const texts = (level: string) => running.log.filter((line) => line.level === level).map(({ sink }) => sink)
  const [one, two] = files.map((file) => `pcap:${file}`)
  expect(texts('error')).toEqual([one, two, one, two])
  expect(texts('warn')).toEqual([one, two, one, two])
})

requires(
  'build',
  'linux',
  'tcpdump',
)('a folder is removed in a flood, and made again: the rest is in a new file', async () => {
  const place = join(folder, 'place')
  const file = join(place, 'out.pcap')
  mkdirSync(place)
  const other = join(folder, 'other.pcap')
  const running = await start(0, '--out', `pcap:${file}`, '--out', `pcap:${other}`)
  flood = new Flood(running.ports[0]!, 32)
  await until('it writes', async () => (await sinkNumbers(running, 0)).written > 5000)
  rmSync(place, { recursive: true })
  await until('frames are lost', async () => (await sinkNumbers(running, 0)).lost > 1000)
  mkdirSync(place)
  await until('it writes again', () => running.stderr.includes('Writing again'))
  await flood.stop()
  await send(numberedDatagrams(3, { first: LAST }), running.ports[0]!)
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: flood.sent + 3, kernelDropped: 0, sinks: [{}, { dropped: {} }] })
  const numbers = numbersRead(file)
  expect(numbers.slice(-3)).toEqual([LAST, LAST + 1, LAST + 2])
  expect(firstGap(numbers.slice(0, -3), numbers[0])).toBe(-1)
  // From the first frame behind the gap to the last of the flood.
  expect(numbers.length - 3).toBe(flood.sent - numbers[0]!)
  expect(numbersRead(other)).toHaveLength(flood.sent + 3)
})

requires(
  'build',
  'linux',
  'tcpdump',
)('killed in a flood and started again, again and again: no file is touched twice', async () => {
  let port = 0
  const args = ['--out', `pcap:${folder}/%Y%m%d-%H%M%S.pcap`]
  let running = await start(port, ...args)
  port = running.ports[0]!
  const known = new Set<string>()
  for (let round = 0; round < 4; round++) {
    flood = new Flood(port, 32)
    await until('it writes', async () => (await sinkNumbers(running, 0)).written > 5000)
    const before = await sinkNumbers(running, 0)
    expect(await running.stop(round < 3 ? 'SIGKILL' : 'SIGTERM')).toBe(round < 3 ? null : 0)
    await flood.stop()
    const [name, ...rest] = readdirSync(folder).filter((entry) => !known.has(entry))
    expect(rest).toEqual([])
    known.add(name!)
    const numbers = numbersRead(join(folder, name!), true)
    expect(numbers.length).toBeGreaterThanOrEqual(before.written)
    expect(firstGap(numbers)).toBe(-1)
    if (round === 3) {
      expectBalance(running.report())
      expect(numbers).toHaveLength(running.report().sinks[0]!.written)
    }
    await running.dispose()
    if (round < 3) running = await start(port, ...args)
  }
})
