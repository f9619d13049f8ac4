import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { readUdpStatistics } from '../../src/dgram-extended/udp-statistics.ts'
import { Collector, expectBalance, startCollector } from '../support/collector.ts'
import { outerCapture } from '../support/outer-capture.ts'
import { makePipe } from '../support/pipes.ts'
import { requires } from '../support/requirements.ts'
import { Flood, numberedDatagrams, numberedFrame, send, vxlan } from '../support/sender.ts'
import { output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

let folder = ''
let collector: Collector
let reader: ChildProcess
let flood: Flood | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standard-output-'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  if (reader !== undefined && reader.exitCode === null && reader.signalCode === null) {
    reader.kill('SIGKILL')
    await once(reader, 'close')
  }
  rmSync(folder, { recursive: true, force: true })
})

/** `mirror-collector --out SINK ... | TOOL ...`; gives a line for each packet that the tool shows. */
async function startPiped(args: readonly string[], tool: readonly string[]): Promise<string[]> {
  const pipe = makePipe()
  const lines: string[] = []
  try {
    reader = spawn(tool[0]!, tool.slice(1), { stdio: [pipe.readEnd, 'pipe', 'ignore'] })
    let rest = ''
    reader.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\n')
      rest = parts.pop()!
      // tcpdump adds the bytes of what it does not know, on lines of their own.
      lines.push(...parts.filter((line) => !line.startsWith('\t')))
    })
    collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', ...args], { stdout: pipe.writeEnd })
  } finally {
    pipe.close()
  }
  return lines
}

const TCPDUMP = ['tcpdump', '-nn', '-l', '-t', '-r', '-']
// Frames of 200 bytes that fit a queue of 1 MiB, and some less.
const QUEUED = 4000
const TSHARK = ['tshark', '-n', '-l', '-r', '-', '-T', 'fields', '-e', 'frame.number']
const it = requires('build', 'linux', 'mkfifo', 'tcpdump', 'tshark', 'capinfos')

it.each([
  ['pcap', TCPDUMP],
  ['pcapng', TSHARK],
])('%s: a frame is shown within a second, while the collector goes on', async (kind, tool) => {
  const lines = await startPiped(['--out', `${kind}:-`], tool)
  // The reader's own start takes longer than a second.
  await send(numberedDatagrams(1), collector.ports[0]!)
  await until('the reader has started', () => lines.length === 1)
  for (let shown = 1; shown < 4; shown++) {
    const sent = performance.now()
    await send(numberedDatagrams(1, { first: shown }), collector.ports[0]!)
    await until('it is shown', () => lines.length > shown)
    expect(performance.now() - sent).toBeLessThan(1000)
  }
  expect(await collector.stop()).toBe(0)
  if (reader.exitCode === null) await once(reader, 'close')
  expect(reader.exitCode).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report.sinks[0]).toMatchObject({ written: 4, dropped: {} })
  expect(lines).toHaveLength(4)
})

it('when the reader leaves, the collector ends by itself with exit code 0, and counts', async () => {
  const lines = await startPiped(['--out', 'pcap:-'], [...TCPDUMP, '-c', '3'])
  flood = new Flood(collector.ports[0]!, 32)
  expect(await collector.exit()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report.sinks[0]!.written).toBeGreaterThanOrEqual(3)
  expect(report.sinks[0]!.dropped['sink-error']).toBeGreaterThan(0)
  expect(lines).toHaveLength(3)
  expect(collector.stderr).toContain('reader of standard output has gone')
})

it('when the reader leaves, other sinks go on', async () => {
  const file = join(folder, 'all.pcap')
  await startPiped(['--out', 'pcap:-', '--out', `pcap:${file}`], [...TCPDUMP, '-c', '3'])
  flood = new Flood(collector.ports[0]!, 32)
  await until('the reader has left', () => collector.stderr.includes('reader of standard output has gone'))
  const { received } = await collector.statistics()
  await until('more is written', async () => (await collector.statistics()).sinks[1]!.written > received)
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report.sinks[0]!.dropped['sink-error']).toBeGreaterThan(0)
  expect(report.sinks[1]).toMatchObject({ written: report.delivered, dropped: {} })
  expect(output('capinfos', '-cM', file)).toMatch(new RegExp(`packets:\\s+${report.delivered}\\n`))
})

describe('a reader that stops reading', () => {
  it('costs its own sink frames, and the other one none; SIGTERM ends it all', async () => {
    const file = join(folder, 'all.pcap')
    const lines = await startPiped(['--out', 'pcap:-?queue=1MiB', '--out', `pcap:${file}`], TCPDUMP)
    await send(numberedDatagrams(1), collector.ports[0]!)
    await until('the reader has started', () => lines.length === 1)
    reader.kill('SIGSTOP')
    flood = new Flood(collector.ports[0]!, 64)
    await until('its sink overflows', async () => {
      const [stalled] = (await collector.statistics()).sinks
      return (stalled!.dropped['sink-overflow'] ?? 0) > 5000
    })
    await flood.stop()
    const began = performance.now()
    expect(await collector.stop()).toBe(0)
    expect(performance.now() - began).toBeLessThan(3000)
    const report = collector.report()
    expectBalance(report)
    expect(report).toMatchObject({ received: flood.sent + 1, kernelDropped: 0, dropped: {} })
    expect(report.sinks[1]).toMatchObject({ written: flood.sent + 1, dropped: {} })
    expect(report.sinks[0]!.written).toBeLessThan(flood.sent - 5000)
    // What waited when it ended: no more than the queue and a piece of a record.
    expect(report.sinks[0]!.dropped['sink-error']).toBeLessThan(2 * ((1 << 20) / 208))
    expect(output('capinfos', '-cM', file)).toMatch(new RegExp(`packets:\\s+${flood.sent + 1}\\n`))
  })

  it('and goes on later gets whole records, the ones that were there first', async () => {
    const lines = await startPiped(['--out', 'pcap:-?queue=1MiB'], TCPDUMP)
    await send(numberedDatagrams(1), collector.ports[0]!)
    await until('the reader has started', () => lines.length === 1)
    reader.kill('SIGSTOP')
    flood = new Flood(collector.ports[0]!, 64)
    const overflow = async () => (await collector.statistics()).sinks[0]!.dropped['sink-overflow'] ?? 0
    await until('it overflows', async () => (await overflow()) > 100)
    await flood.stop()
    reader.kill('SIGCONT')
    await until('all that waited has gone out', async () => {
      const { delivered, sinks } = await collector.statistics()
      return sinks[0]!.written + (sinks[0]!.dropped['sink-overflow'] ?? 0) === delivered
    })
    await send(numberedDatagrams(2), collector.ports[0]!)
    expect(await collector.stop()).toBe(0)
    if (reader.exitCode === null) await once(reader, 'close')
    expect(reader.exitCode).toBe(0)
    const report = collector.report()
    expectBalance(report)
    expect(Object.keys(report.sinks[0]!.dropped)).toEqual(['sink-overflow'])
    expect(lines).toHaveLength(report.sinks[0]!.written)
  })

  it('costs nothing while the queue has room, also when tunnels alternate frame by frame', async () => {
    const lines = await startPiped(['--out', 'pcapng:-?queue=16MiB'], TSHARK)
    await send(numberedDatagrams(1), collector.ports[0]!)
    await until('the reader has started', () => lines.length === 1)
    reader.kill('SIGSTOP')
    const frames = Array.from({ length: 20_000 }, (_, i) => vxlan(i % 2, numberedFrame(i, 200)))
    await send(frames, collector.ports[0]!)
    await until('all have arrived', async () => (await collector.statistics()).received === 20_001)
    reader.kill('SIGCONT')
    expect(await collector.stop()).toBe(0)
    const report = collector.report()
    expectBalance(report)
    expect(report.sinks[0]).toMatchObject({ written: 20_001, dropped: {} })
  })

  it('does not keep decap from ending at SIGTERM', async () => {
    const capture = join(folder, 'outer.pcap')
    writeFileSync(capture, outerCapture(numberedDatagrams(20_000, { bytes: 200 })))
    const pipe = makePipe()
    try {
      const args = ['decap', capture, '--out', 'pcap:-?queue=1MiB', '--log-level', 'debug']
      collector = new Collector(args, { stdout: pipe.writeEnd })
      await until('it reads', () => collector.stderr.includes('reading'))
      // Nobody reads: decap waits with a full queue, which loses nothing.
      let before = 0
      await until('it waits', async () => {
        const { received } = await collector.statistics()
        const stands = received === before && received > QUEUED
        before = received
        return stands
      })
      expect(before).toBeLessThan(10_000)
      const began = performance.now()
      expect(await collector.stop()).toBe(0)
      expect(performance.now() - began).toBeLessThan(3000)
      expectBalance(collector.report())
    } finally {
      pipe.close()
    }
  })
})

it('a reader slower than the network gets every frame of --count, long after they arrived', async () => {
  const lines = await startPiped(['--out', 'pcap:-', '--count', '20000'], TCPDUMP)
  await send(numberedDatagrams(1), collector.ports[0]!)
  await until('the reader has started', () => lines.length === 1)
  reader.kill('SIGSTOP')
  await send(numberedDatagrams(19_999, { first: 1 }), collector.ports[0]!)
  await until('the port is closed', () => readUdpStatistics(4)!.every(({ port }) => port !== collector.ports[0]))
  reader.kill('SIGCONT')
  expect(await collector.exit()).toBe(0)
  if (reader.exitCode === null) await once(reader, 'close')
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ delivered: 20_000, sinks: [{ written: 20_000, dropped: {} }] })
  expect(lines).toHaveLength(20_000)
})
