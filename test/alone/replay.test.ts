import { type ChildProcess, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { Collector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { GOLDEN } from '../support/oracle.ts'
import { BUILT_COMMAND, requires, scapyPython } from '../support/requirements.ts'
import { type Frame, framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const needs = ['build', 'root', 'namespaces', 'ip', 'ethtool', 'tcpdump', 'tshark', 'scapy'] as const
let folder = ''
let hosts: NamespacePair | undefined
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'replay-'))
})
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  hosts?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** VXLAN packets by scapy, which arrive `gaps` milliseconds one after another. */
function capture(gaps: readonly number[]): string {
  const file = join(folder, 'tunnels.pcap')
  const program = `
import sys, json
from scapy.all import Ether, IP, UDP, Raw, wrpcap
from scapy.layers.vxlan import VXLAN
gaps = json.loads(sys.argv[1])
packets, at = [], 1700000000.25
for i, gap in enumerate(gaps):
    at += gap / 1000
    inner = Ether(src='02:00:00:00:00:0a', dst='02:00:00:00:00:0b')/IP(src='10.9.0.1', dst='10.9.0.2', id=i)/UDP(sport=1000, dport=2000)/Raw(bytes([i % 256]) * (18 + i % 900))
    p = Ether()/IP(src='10.0.0.1', dst='10.0.0.2')/UDP(sport=5000, dport=4789)/VXLAN(vni=100)/inner
    p.time = at
    packets.append(p)
wrpcap(sys.argv[2], packets, nano=True)
`
  execFileSync(scapyPython()!, ['-c', program, JSON.stringify(gaps), file], { stdio: ['ignore', 'ignore', 'pipe'] })
  return file
}

/** The far host greets its own address by itself (MLD). */
const NOT_THE_KERNELS = 'not ether dst 33:33:00:00:00:16'

/** What arrives at the far end of the cable from now on, once `frames` have. */
async function listenFar(pair: NamespacePair): Promise<(frames: number) => Promise<Frame[]>> {
  const file = join(mkdtempSync(join(folder, 'far-')), 'far.pcap')
  const far = pair.right
  const options = ['-Q', 'in', '-U', '-B', '16384', '--time-stamp-precision', 'nano', '-w', file, NOT_THE_KERNELS]
  const tcpdump: ChildProcess = far.spawn(['tcpdump', '-i', far.device, ...options])
  let said = ''
  tcpdump.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until('tcpdump listens', () => said.includes('listening on'))
  return async (frames) => {
    const count = () => Number(/packets:\s+(\d+)/.exec(output('capinfos', '-cM', file))![1])
    await until(`${frames} frames have arrived`, () => count() >= frames)
    const ended = new Promise((resolve) => tcpdump.once('exit', resolve))
    tcpdump.kill('SIGINT')
    await ended
    return framesOf(file)
  }
}

function times(frames: readonly Frame[]): number[] {
  const [first] = frames
  return frames.map(
    ({ seconds, nanoseconds }) => (seconds - first!.seconds) * 1000 + (nanoseconds - first!.nanoseconds) / 1e6,
  )
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!
}

/** How far half of the frames are from when they were due, in milliseconds: a busy machine holds up single ones. */
function offsets(got: readonly Frame[], due: readonly number[]): number {
  const differences = times(got).map((time, i) => time - due[i]!)
  const middle = median(differences)
  return median(differences.map((difference) => Math.abs(difference - middle)))
}

/** Runs decap in the left host, out of its end of the cable. */
function replay(pair: NamespacePair, file: string, pace: string): string {
  const out = `interface:${pair.left.device}?pace=${pace}`
  return pair.left.exec([process.execPath, BUILT_COMMAND, 'decap', file, '--out', out, '-q', '--report', '-'])
}

requires(
  ...needs,
  'capinfos',
  'tcpreplay',
)('a collected file that tcpreplay plays comes back identical', async () => {
  const collected = join(folder, 'collected.pcap')
  expect(runCommand(['decap', `${GOLDEN}kernel-ipv4.pcap`, '--out', `pcap:${collected}`]).exitCode).toBe(0)
  hosts = joinedNamespaces()
  const arrived = await listenFar(hosts)
  hosts.left.exec(['tcpreplay', '-q', '-i', hosts.left.device, collected])
  const expected = framesOf(`${GOLDEN}kernel-ipv4.inner.pcap`).map(({ bytes }) => bytes)
  expect((await arrived(expected.length)).map(({ bytes }) => bytes)).toEqual(expected)
})

requires(...needs, 'capinfos')('pace=original sends frames as far apart as they came', async () => {
  // From 50 us to 120 ms, in no order.
  const gaps = Array.from({ length: 300 }, (_, i) => [0.05, 0.3, 2, 7, 0, 1][i % 6]! + (i % 100 === 99 ? 120 : 0))
  const file = capture(gaps)
  const expected = join(folder, 'expected.pcap')
  runCommand(['decap', file, '--out', `pcap:${expected}`])
  hosts = joinedNamespaces()
  const arrived = await listenFar(hosts)
  const report = JSON.parse(replay(hosts, file, 'original'))
  expect(report.sinks[0]).toMatchObject({ written: 300, dropped: {} })
  const got = await arrived(300)
  const wanted = framesOf(expected)
  expect(got.map(({ bytes }) => bytes)).toEqual(wanted.map(({ bytes }) => bytes))
  const due = times(wanted)
  const off = offsets(got, due)
  process.stderr.write(`  pace=original: half of the frames within ${off.toFixed(3)} ms\n`)
  expect(off).toBeLessThan(5)
  expect(due.at(-1)).toBeGreaterThan(800)
})

requires(...needs, 'capinfos')('pace=RATE sends so many a second, pace=max as many as go', async () => {
  const file = capture(new Array(400).fill(0))
  hosts = joinedNamespaces()
  const arrived = await listenFar(hosts)
  replay(hosts, file, '1000')
  const paced = await arrived(400)
  const due = paced.map((_, i) => i)
  expect(offsets(paced, due)).toBeLessThan(5)
  const again = await listenFar(hosts)
  replay(hosts, file, 'max')
  expect(times(await again(400)).at(-1)).toBeLessThan(times(paced).at(-1)!)
})

requires(...needs, 'capinfos')(
  'a replay that is interrupted ends at once, and counts what it did not send',
  async () => {
    const file = capture([0, 0, 3_600_000])
    hosts = joinedNamespaces()
    const arrived = await listenFar(hosts)
    const out = `interface:${hosts.left.device}?pace=original`
    const running = new Collector(['decap', file, '--out', out, '--out', 'null'], { namespace: hosts.left.name })
    collector = running
    expect(await arrived(2)).toHaveLength(2)
    expect(await running.stop()).toBe(0)
    expect(running.report().sinks[0]).toMatchObject({ written: 2, dropped: { 'sink-error': 1 } })
  },
)
