import { execFileSync } from 'node:child_process'
import { createReadStream, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect } from 'vitest'
import { Collector, expectBalance, type Report } from '../support/collector.ts'
import { FIRST_SECOND, type OuterCaptureOptions, outerCapture } from '../support/outer-capture.ts'
import { requires } from '../support/requirements.ts'
import { firstGap, numberedDatagrams, numberedFrame, numberOf, vxlan } from '../support/sender.ts'
import { type Frame, framesOf } from '../support/tshark.ts'

const COUNT = 300

let folder = ''
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'decap-input-'))
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function finished(running: Collector): Promise<Report> {
  expect({ exitCode: await running.exit(), stderr: running.stderr }).toMatchObject({ exitCode: 0 })
  const report = running.report()
  expectBalance(report)
  return report
}

/** Writes the input and runs decap on it into `out.pcap`. */
async function decap(input: Uint8Array, ...options: string[]): Promise<{ report: Report; frames: Frame[] }> {
  const file = join(folder, 'input')
  const out = join(folder, 'out.pcap')
  writeFileSync(file, input)
  collector = new Collector(['decap', file, '--out', `pcap:${out}`, ...options])
  return { report: await finished(collector), frames: framesOf(out) }
}

function expectAll({ report, frames }: { report: Report; frames: Frame[] }, nanoseconds: number): void {
  expect(report).toMatchObject({ received: COUNT, delivered: COUNT, vnis: { 100: COUNT } })
  expect(frames.map((frame) => frame.bytes)).toEqual(
    Array.from({ length: COUNT }, (_, i) => numberedFrame(i).toString('hex')),
  )
  expect(
    firstGap(
      frames.map((frame) => frame.seconds),
      FIRST_SECOND,
    ),
  ).toBe(-1)
  expect(new Set(frames.map((frame) => frame.nanoseconds))).toEqual(new Set([nanoseconds]))
}

const it = requires('build', 'tshark')
const DATAGRAMS = numberedDatagrams(COUNT)
const KINDS: readonly (readonly [string, OuterCaptureOptions, number])[] = [
  ['little-endian, microseconds', {}, 123_456_000],
  ['little-endian, nanoseconds', { nanoseconds: true }, 123_456_789],
  ['big-endian, microseconds', { bigEndian: true }, 123_456_000],
  ['big-endian, nanoseconds', { bigEndian: true, nanoseconds: true }, 123_456_789],
]

it.each(KINDS)('pcap, %s: every frame comes out with its own time', async (_name, options, nanoseconds) => {
  expectAll(await decap(outerCapture(DATAGRAMS, options)), nanoseconds)
})

it.each(KINDS)('gzip, %s', async (_name, options, nanoseconds) => {
  expectAll(await decap(gzipSync(outerCapture(DATAGRAMS, options))), nanoseconds)
})

requires(
  'build',
  'tshark',
  'editcap',
)('pcapng, as editcap writes it', async () => {
  const [file, converted] = [join(folder, 'ns.pcap'), join(folder, 'ns.pcapng')]
  writeFileSync(file, outerCapture(DATAGRAMS, { nanoseconds: true }))
  execFileSync('editcap', ['-F', 'pcapng', file, converted], { stdio: 'pipe' })
  expectAll(await decap(readFileSync(converted)), 123_456_789)
})

it.each([
  ['plain', (bytes: Buffer) => bytes],
  ['gzip', (bytes: Buffer) => gzipSync(bytes)],
])('standard input, %s', async (_name, prepare) => {
  const input = join(folder, 'input')
  const out = join(folder, 'out.pcap')
  writeFileSync(input, prepare(outerCapture(DATAGRAMS)))
  collector = new Collector(['decap', '-', '--out', `pcap:${out}`])
  createReadStream(input, { highWaterMark: 777 }).pipe(collector.stdin)
  expectAll({ report: await finished(collector), frames: framesOf(out) }, 123_456_000)
})

it('two sinks get the same frames, and vni= selects for one of them alone', async () => {
  const datagrams = Array.from({ length: COUNT }, (_, i) => vxlan(i % 3, numberedFrame(i)))
  const [all, some] = [join(folder, 'all.pcapng'), join(folder, 'some.pcap')]
  const { report, frames } = await decap(
    outerCapture(datagrams),
    ...['--out', `pcapng:${all}`, '--out', `pcap:${some}?vni=1-2,!2`, '--out', 'null?vni=7'],
  )
  expect(frames).toHaveLength(COUNT)
  expect(framesOf(all)).toEqual(frames)
  expect(framesOf(some)).toEqual(frames.filter((frame) => numberOf(frame.bytes) % 3 === 1))
  expect(report.sinks.map((sink) => sink.written)).toEqual([COUNT, COUNT, COUNT / 3, 0])
  expect(report.sinks[2]!.dropped).toEqual({ 'not-selected': (2 * COUNT) / 3 })
  expect(report.sinks[3]!.dropped).toEqual({ 'not-selected': COUNT })
})

it('a port that is no convention is found only when it is listened for', async () => {
  const capture = outerCapture(DATAGRAMS, { port: 5000 })
  const without = await decap(capture)
  expect(without.report).toMatchObject({ delivered: 0, dropped: { 'unknown-encapsulation': COUNT } })
  await collector!.dispose()
  rmSync(join(folder, 'out.pcap'))
  expectAll(await decap(capture, '--listen', 'vxlan://:5000'), 123_456_000)
})

it('--snaplen cuts what is kept, and tells the length there was', async () => {
  const datagrams = [18, 64, 65, 1514].map((bytes, i) => vxlan(5, numberedFrame(i, bytes)))
  const { frames } = await decap(outerCapture(datagrams), '--snaplen', '64')
  expect(frames.map((frame) => [frame.captured, frame.wireLength])).toEqual([
    [18, 18],
    [64, 64],
    [64, 65],
    [64, 1514],
  ])
  expect(frames[3]!.bytes).toBe(numberedFrame(3, 1514).subarray(0, 64).toString('hex'))
})

it('--count stops after so many frames', async () => {
  const { report, frames } = await decap(outerCapture(DATAGRAMS), '--count', '17')
  expect(report).toMatchObject({ delivered: 17, vnis: { 100: 17 } })
  expect(frames.map((frame) => numberOf(frame.bytes))).toEqual(Array.from({ length: 17 }, (_, i) => i))
})

requires(
  'build',
  'linux',
  'mkfifo',
  'tshark',
)('a slow reader of a FIFO gets everything: decap waits', async () => {
  const frames = 20_000
  const [input, fifo, out] = [join(folder, 'input'), join(folder, 'fifo'), join(folder, 'out.pcap')]
  writeFileSync(input, outerCapture(numberedDatagrams(frames, { bytes: 500 })))
  execFileSync('mkfifo', [fifo])
  // Open for both ends: a reader is there from the beginning.
  const reader = createReadStream(fifo, { fd: openSync(fifo, 'r+'), highWaterMark: 20_000 })
  const parts: Buffer[] = []
  let bytes = 0
  const expected = 24 + frames * (16 + 500)
  const all = new Promise<void>((resolve) => {
    reader.on('data', (part) => {
      parts.push(Buffer.from(part))
      bytes += part.length
      if (bytes >= expected) resolve()
      // Slower than the collector by far.
      reader.pause()
      setTimeout(() => reader.resume(), 1)
    })
  })
  try {
    collector = new Collector(['decap', input, '--out', `pcap:${fifo}?queue=1MiB`, '--out', 'null'])
    await all
    const report = await finished(collector)
    expect(report.sinks[0]).toMatchObject({ written: frames, bytes: expected, dropped: {} })
    expect(report.sinks[1]).toMatchObject({ written: frames, dropped: {} })
  } finally {
    reader.destroy()
  }
  expect(bytes).toBe(expected)
  writeFileSync(out, Buffer.concat(parts))
  expect(firstGap(framesOf(out).map((frame) => numberOf(frame.bytes)))).toBe(-1)
})
