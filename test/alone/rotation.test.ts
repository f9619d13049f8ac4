import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { FIRST_SECOND, outerCapture } from '../support/outer-capture.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap, numberedDatagrams, numberedFrame, numberOf, send, vxlan } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const LOOPBACK = ['--listen', 'vxlan://127.0.0.1:0']

let folder = ''
let collector: Collector | undefined
let flood: Flood | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rotation-'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const it = requires('build', 'linux', 'tshark', 'gzip')

/** Files of the folder by the number at the end of the name: out.pcap, out-1.pcap, out-2.pcap ... */
function files(): string[] {
  const number = (name: string): number => Number(/-(\d+)\.pcap/.exec(name)?.[1] ?? 0)
  return readdirSync(folder)
    .sort()
    .sort((a, b) => number(a) - number(b))
}

function numbersIn(file: string): number[] {
  return framesOf(join(folder, file)).map((frame) => numberOf(frame.bytes))
}

function counting(count: number, first = 0): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

async function decapTo(sink: string, datagrams: readonly Uint8Array[]): Promise<Report> {
  const capture = join(folder, 'outer')
  writeFileSync(capture, outerCapture(datagrams))
  collector = new Collector(['decap', capture, '--out', sink])
  expect(await collector.exit()).toBe(0)
  rmSync(capture)
  const report = collector.report()
  await collector.dispose()
  expectBalance(report)
  return report
}

// A frame of 84 bytes makes a record of 100; the file's header has 24.
const RECORD = 100
const FRAME = 84

it('by size: no file is longer, none is shorter than it must be, and every frame is in one of them', async () => {
  const limit = 24 + 10 * RECORD + 50
  const report = await decapTo(`pcap:${folder}/out.pcap?rotate=${limit}B`, numberedDatagrams(95, { bytes: FRAME }))
  expect(report.sinks[0]).toMatchObject({ written: 95, bytes: 10 * 24 + 95 * RECORD, dropped: {} })
  const sizes = files().map((name) => statSync(join(folder, name)).size)
  expect(sizes).toEqual([...Array(9).fill(24 + 10 * RECORD), 24 + 5 * RECORD])
  expect(files().flatMap(numbersIn)).toEqual(counting(95))
})

it('by size with keep: the newest files stay', async () => {
  const sink = `pcapng:${folder}/out.pcapng?rotate=2kB&keep=3`
  const report = await decapTo(sink, numberedDatagrams(500, { bytes: FRAME }))
  expect(report.sinks[0]).toMatchObject({ written: 500, dropped: {} })
  expect(files()).toHaveLength(3)
  const numbers = files().flatMap(numbersIn)
  expect(numbers).toEqual(counting(numbers.length, 500 - numbers.length))
})

it('by size with keep: files of an earlier run count, and are not overwritten', async () => {
  const sink = `pcap:${folder}/out.pcap?rotate=${24 + 10 * RECORD}B&keep=4`
  await decapTo(sink, numberedDatagrams(30, { bytes: FRAME }))
  expect(files()).toEqual(['out.pcap', 'out-1.pcap', 'out-2.pcap'])
  await decapTo(sink, numberedDatagrams(30, { first: 30, bytes: FRAME }))
  const names = ['out-2.pcap', 'out-3.pcap', 'out-4.pcap', 'out-5.pcap']
  expect(files()).toEqual(names)
  expect(names.flatMap(numbersIn)).toEqual(counting(40, 20))
})

it('by the clock of the frames: each file has the frames of its own interval', async () => {
  // Packet i is of second FIRST_SECOND + i, which is 20 seconds behind a full minute.
  expect(FIRST_SECOND % 60).toBe(20)
  await decapTo(`pcap:${folder}/%s.pcap.gz?rotate=60s&compress=gzip`, numberedDatagrams(130))
  const minute = FIRST_SECOND - 20
  expect(files()).toEqual([0, 60, 120].map((second) => `${minute + second}.pcap.gz`))
  const numbers = files().map((name) => {
    execFileSync('gzip', ['-d', join(folder, name)])
    return numbersIn(name.slice(0, -3))
  })
  expect(numbers).toEqual([counting(40), counting(60, 40), counting(30, 100)])
})

it('by the clock, live: the files end on full seconds, and lose nothing', async () => {
  collector = await startCollector([...LOOPBACK, '--out', `pcap:${folder}/%s.pcap?rotate=1s`])
  flood = new Flood(collector.ports[0]!, 32)
  await until('two seconds have ended', () => files().length > 2)
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ kernelDropped: 0, sinks: [{ written: report.received, dropped: {} }] })
  const frames = files().map((name) => ({ name, frames: framesOf(join(folder, name)) }))
  for (const { name, frames: own } of frames) {
    expect([...new Set(own.map((frame) => `${frame.seconds}.pcap`))]).toEqual([name])
  }
  const numbers = frames.flatMap(({ frames: own }) => own.map((frame) => numberOf(frame.bytes)))
  expect(numbers).toHaveLength(report.received)
  expect(firstGap(numbers)).toBe(-1)
})

it('a file for each tunnel, two of them open at a time, has the frames of its tunnel in their order', async () => {
  const tunnels = 7
  const datagrams = counting(3500).map((number) => vxlan(number % tunnels, numberedFrame(number)))
  const report = await decapTo(`pcapng:${folder}/{encap}-{vni}.pcapng?open-files=2`, datagrams)
  expect(report.sinks[0]).toMatchObject({ written: 3500, dropped: {} })
  expect(files()).toEqual(counting(tunnels).map((vni) => `vxlan-${vni}.pcapng`))
  for (const [vni, name] of files().entries()) {
    expect(numbersIn(name)).toEqual(counting(3500).filter((number) => number % tunnels === vni))
  }
})

it('no more descriptors are open than open-files says', async () => {
  collector = await startCollector([...LOOPBACK, '--out', `pcap:${folder}/{vni}.pcap?open-files=2`])
  const { pid } = collector
  // Descriptors that are closed while it looks make it complain and fail.
  const look = ['find', `/proc/${pid}/fd`, '-lname', `${folder}/*`] as const
  const open = () => spawnSync(look[0], look.slice(1), { encoding: 'utf8' }).stdout.split('\n').length - 1
  for (let round = 0; round < 20; round++) {
    await send(
      counting(10).map((vni) => vxlan(vni, numberedFrame(round))),
      collector.ports[0]!,
    )
    expect(open()).toBeLessThanOrEqual(2)
  }
  await until('all are written', async () => (await collector!.statistics()).sinks[0]!.written === 200)
  expect(open()).toBe(2)
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())
  expect(files().map(numbersIn)).toEqual(Array(10).fill(counting(20)))
})

it('a second run does not overwrite the first: with a time in the name it numbers, without it refuses', async () => {
  const sink = `pcap:${folder}/%s.pcap?rotate=60s`
  const minute = FIRST_SECOND - (FIRST_SECOND % 60)
  const name = `${minute}.pcap`
  await decapTo(sink, numberedDatagrams(5))
  const first = readFileSync(join(folder, name))
  await decapTo(sink, numberedDatagrams(5, { first: 5 }))
  expect(files()).toEqual([name, `${minute}-1.pcap`])
  expect(readFileSync(join(folder, name))).toEqual(first)
  expect(numbersIn(`${minute}-1.pcap`)).toEqual(counting(5, 5))
  collector = new Collector(['decap', join(folder, name), '--out', `pcap:${folder}/${name}`])
  expect(await collector.exit()).toBe(73)
  expect(readFileSync(join(folder, name))).toEqual(first)
})
