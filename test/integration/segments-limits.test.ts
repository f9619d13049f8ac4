import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import { requires, unmet } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'
import { send } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const NEEDS = ['build', 'root', 'namespaces', 'ip', 'scapy'] as const
const it = requires(...NEEDS)

let folder = ''
let input = ''
let namespace: OwnNamespace | undefined
let collector: Collector | undefined
beforeEach(() => {
  if (unmet(...NEEDS).length > 0) return
  folder = mkdtempSync(join(tmpdir(), 'segments-'))
  input = join(folder, 'tunnels.pcap')
  writeTunnels(input)
  namespace = new OwnNamespace()
  ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'far')
  for (const end of ['eth1', 'far']) ip('link', 'set', end, 'addrgenmode', 'none', 'mtu', '1500', 'up')
})
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  namespace?.leave()
  namespace = undefined
  rmSync(folder, { recursive: true, force: true })
})

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** In VXLAN: TCP with 14 480 bytes, a jumbo frame of TCP with 8 948, UDP with 5 000, a reset with 3 000, TCP with 100; TCP's headers have 40. */
function writeTunnels(file: string): void {
  scapyLines(`
from scapy.layers.vxlan import VXLAN
def inner(transport, size):
    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2") / transport / bytes(size)
frames = [inner(TCP(flags="PA"), 14480), inner(TCP(flags="A"), 8948), inner(UDP(), 5000), inner(TCP(flags="R"), 3000), inner(TCP(flags="A"), 100)]
wrpcap(${JSON.stringify(file)}, [Ether() / IP(src="10.9.0.1", dst="10.9.0.2") / UDP(sport=5, dport=4789) / VXLAN(vni=100, flags=8) / frame for frame in frames])
`)
}

function decap(out: string): Report {
  const { exitCode, stdout } = runCommand(['decap', input, '--out', out, '--report', '-', '-q'])
  expect(exitCode).toBe(0)
  const report = JSON.parse(stdout.toString()) as Report
  expectBalance(report)
  return report
}

/** Packets and bytes that arrived at the cable's other end, by the kernel's count. */
function arrived(): [number, number] {
  const { packets, bytes } = JSON.parse(ip('-j', '-s', 'link', 'show', 'far'))[0].stats64.rx
  return [packets, bytes]
}

it.each([
  // 14480 = 9 * 1460 + 1340; 8948 = 6 * 1460 + 188.
  ['interface:eth1', [{ written: 3, dropped: { 'frame-size': 2 }, segmented: 2, segments: 17 }, 10 + 7 + 1]],
  // 960 of payload each: 15.08 and 9.3 segments.
  ['interface:eth1?segment=1014', [{ written: 3, dropped: { 'frame-size': 2 }, segmented: 2, segments: 26 }, 26 + 1]],
  // Never above the MTU.
  ['interface:eth1?segment=9014', [{ written: 3, dropped: { 'frame-size': 2 }, segmented: 2, segments: 17 }, 18]],
  ['interface:eth1?segment=no', [{ written: 1, dropped: { 'frame-size': 4 } }, 1]],
] as const)('%s: TCP above the MTU is divided, the rest counted as frame-size', (out, [expected, packets]) => {
  const before = arrived()
  const [sink] = decap(out).sinks
  expect(sink).toMatchObject(expected)
  expect('segmented' in sink!).toBe('segmented' in expected)
  expect(arrived()).toEqual([before[0] + packets, before[1] + sink!.bytes])
})

it.each([
  ['tap:ids0', { segmented: 2, segments: 17 }],
  ['tap:ids0?segment=9014', { segmented: 1, segments: 2 }],
  ['tap:ids0?segment=no', {}],
])('%s: what cannot be divided arrives whole', (out, expected) => {
  // Persistent, so that its counters can be read; made anew each time.
  ip('tuntap', 'add', 'dev', 'ids0', 'mode', 'tap')
  const [sink] = decap(out).sinks
  expect(sink).toMatchObject({ written: 5, dropped: {}, ...expected })
  expect('segmented' in sink!).toBe('segmented' in expected)
  const { segmented = 0, segments = 0 } = sink!
  const [{ stats64, mtu }] = JSON.parse(ip('-j', '-s', 'link', 'show', 'ids0'))
  expect([stats64.rx.packets, stats64.rx.bytes]).toEqual([5 - segmented + segments, sink!.bytes])
  // The device was made ready for the longest frame: UDP's 5028 bytes of IP, a jumbo frame's 8988, or 14520.
  expect(mtu).toBe(out.endsWith('no') ? 14_520 : out.endsWith('9014') ? 9000 : 5028)
})

it('an MTU that is lowered while frames come: one frame is lost as too long, and those that follow are divided for it', async () => {
  ip('link', 'set', 'lo', 'up')
  const [{ datagram }] = scapyLines<{ datagram: string }>(`
frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(flags="A") / bytes(1400)
print(json.dumps({"datagram": "0800000000006400" + bytes(frame).hex()}))
`) as [{ datagram: string }]
  const running = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', 'interface:eth1'])
  collector = running
  const sink = async () => (await running.statistics()).sinks[0]!
  const sendOne = async () => await send([Buffer.from(datagram, 'hex')], running.ports[0]!)
  await until('frames are sent', async () => {
    await sendOne()
    return (await sink()).written > 0
  })
  ip('link', 'set', 'eth1', 'mtu', '1000')
  await until('frames are divided', async () => {
    await sendOne()
    return (await sink()).segmented! > 2
  })
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  const { segmented, segments, dropped } = report.sinks[0]!
  expect(dropped['frame-size']).toBe(1)
  expect(segments).toBe(2 * segmented!)
})
