import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires, scapyPython } from '../support/requirements.ts'
import { framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { startTcpdump } from './mirrored-host.ts'

let folder = ''
let hosts: NamespacePair
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gre-'))
  hosts = joinedNamespaces()
})
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const it = requires('build', 'linux', 'root', 'namespaces', 'ip', 'ethtool', 'scapy', 'tshark', 'tcpdump')

/** Scapy builds the packets, sends them, and says what is in them. `PACKETS` is a list of (outer packet, inner frame). */
const PRELUDE = `
import json, sys
from scapy.all import *
from scapy.layers.vxlan import VXLAN
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
conf.verb = 0
frame = lambda number, size=40: Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04", type=0x88b5)/Raw(bytes([number]) * size)
v4 = lambda **more: IP(src="10.99.0.1", dst="10.99.0.2", **more)
v6 = lambda: IPv6(src="fd99::1", dst="fd99::2")
ether = lambda packet: Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")/packet
bare = IP(src="192.0.2.1", dst="192.0.2.2")/ICMP()
`

const MIXED = `
blank = lambda packet: Ether(src="00:00:00:00:00:00", dst="00:00:00:00:00:00")/packet
packets = [
    (v4()/GRE(proto=0x6558)/frame(1), frame(1)),
    (v4(options=[IPOption_NOP()] * 4)/GRE(key_present=1, key=100, proto=0x6558)/frame(2), frame(2)),
    (v4()/GRE(chksum_present=1, seqnum_present=1, sequence_number=7, proto=0x6558)/frame(3), frame(3)),
    (v4()/GRE(proto=0x0800)/bare, blank(bare)),
    (v4()/GRE(seqnum_present=1, sequence_number=1, proto=0x88be)/ERSPAN_II(ver=1, session_id=5)/frame(5), frame(5)),
    (v4()/GRE(seqnum_present=1, sequence_number=1, proto=0x22eb)/ERSPAN_III(session_id=6)/frame(6), frame(6)),
    (v6()/GRE(key_present=1, key=100, proto=0x6558)/frame(7), frame(7)),
    (v6()/GRE(proto=0x6558)/frame(8, 1300), frame(8, 1300)),
    (v4()/UDP(sport=49152, dport=4789, chksum=0)/VXLAN(vni=9, flags="Instance")/frame(9), frame(9)),
    (v6()/UDP(sport=49152, dport=8472)/VXLAN(vni=10, flags="Instance")/frame(10), frame(10)),
]
# The last comes in pieces, which the kernel puts together.
large = v4(id=77)/GRE(key_present=1, key=11, proto=0x6558)/frame(11, 4000)
for packet, _ in packets: sendp(ether(packet), iface="veth1")
for piece in fragment(large, fragsize=1480): sendp(ether(piece), iface="veth1")
print(json.dumps([raw(inner).hex() for _, inner in packets] + [raw(frame(11, 4000)).hex()]))
`

function sendFrom(pair: NamespacePair, program: string): string {
  return pair.left.exec([scapyPython()!, '-c', PRELUDE + program])
}

it('--listen gre:// takes GRE and ERSPAN over IPv4 and IPv6, beside UDP tunnels, as scapy sends them', async () => {
  const file = join(folder, 'out.pcap')
  const listen = ['gre://', ':4789', ':8472'].flatMap((each) => ['--listen', each])
  const running = await startCollector([...listen, '--out', `pcap:${file}`], { namespace: hosts.right.name })
  collector = running
  expect(running.stderr).toContain('0.0.0.0 (gre), [::] (gre), 0.0.0.0:4789 (vxlan)')
  const before = Date.now() / 1000
  const sent = JSON.parse(sendFrom(hosts, MIXED)) as string[]
  await until('all have arrived', async () => (await running.statistics()).received >= sent.length)
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: sent.length, delivered: sent.length, dropped: {}, kernelDropped: 0 })
  expect(report.vnis).toEqual({ 0: 4, 5: 1, 6: 1, 9: 1, 10: 1, 11: 1, 100: 2 })
  const got = framesOf(file)
  // Sockets take turns: order holds within each.
  expect(got.map((frame) => frame.bytes).sort()).toEqual([...sent].sort())
  for (const frame of got) {
    expect(frame.captured).toBe(frame.wireLength)
    expect(frame.seconds).toBeGreaterThan(before - 2)
    expect(frame.seconds).toBeLessThan(before + 60)
  }
  // The kernel's clock, not Date.now(), whose stamps are whole milliseconds.
  expect(got.some((frame) => frame.nanoseconds % 1_000_000 !== 0)).toBe(true)
})

it('--allow-from sees who sends GRE', async () => {
  const args = ['--listen', 'gre://', '--allow-from', 'fd99::/64', '--out', 'null']
  const running = await startCollector(args, { namespace: hosts.right.name })
  collector = running
  sendFrom(hosts, 'for ip in [v4(), v6()]: sendp(ether(ip/GRE(proto=0x6558)/frame(1)), iface="veth1", count=3)')
  await until('all have arrived', async () => (await running.statistics()).received >= 6)
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  expect(running.report()).toMatchObject({ delivered: 3, dropped: { 'source-not-allowed': 3 } })
})

it('a host of its own: gre://ADDRESS takes what comes to that address only', async () => {
  hosts.right.exec(['ip', 'address', 'add', '10.99.0.3/24', 'dev', hosts.right.device])
  const running = await startCollector(['--listen', 'gre://10.99.0.3', '--out', 'null'], {
    namespace: hosts.right.name,
  })
  collector = running
  sendFrom(
    hosts,
    'for key, to in [(1, "10.99.0.2"), (2, "10.99.0.3")]: sendp(ether(IP(src="10.99.0.1", dst=to)/GRE(key_present=1, key=key, proto=0x6558)/frame(1)), iface="veth1")',
  )
  await until('it has arrived', async () => (await running.statistics()).received >= 1)
  expect(await running.stop()).toBe(0)
  expect(running.report().vnis).toEqual({ 2: 1 })
})

const UNREACHABLE = '(icmp[0] == 3 and icmp[1] == 2) or (icmp6 and ip6[40] == 4)'

/** How many times the right host answered that it knows no GRE; `ping` tells that nothing is on its way any more. */
async function refusals(pair: NamespacePair, received: () => Promise<boolean>, name: string): Promise<number> {
  const capture = join(folder, name)
  const tcpdump = await startTcpdump(pair.left, pair.left.device, capture)
  sendFrom(pair, 'for ip in [v4(), v6()]: sendp(ether(ip/GRE(proto=0x6558)/frame(1)), iface="veth1")')
  await until('the packets have arrived', received)
  for (const address of [pair.right.ipv4, pair.right.ipv6]) pair.left.exec(['ping', '-c', '1', '-W', '5', address])
  await tcpdump.stop()
  const lines = (filter: string) => output('tcpdump', '-nr', capture, filter).split('\n').filter(Boolean).length
  expect(lines('icmp[0] == 0 or (icmp6 and ip6[40] == 129)')).toBe(2)
  return lines(UNREACHABLE)
}

it('the kernel answers no "protocol unreachable" while somebody listens', async () => {
  expect(await refusals(hosts, async () => true, 'nobody.pcap')).toBe(2)
  // A second pair, as the kernel limits how often it answers one host.
  const others = joinedNamespaces()
  try {
    const running = await startCollector(['--listen', 'gre://', '--out', 'null'], { namespace: others.right.name })
    collector = running
    const arrived = async () => (await running.statistics()).received >= 2
    expect(await refusals(others, arrived, 'listening.pcap')).toBe(0)
    expect(await running.stop()).toBe(0)
    await running.dispose()
  } finally {
    others.dispose()
  }
})

it('what the kernel drops for want of buffer is counted', async () => {
  const running = await startCollector(['--listen', 'gre://', '--buffer', '64KiB', '--out', 'null'], {
    namespace: hosts.right.name,
  })
  collector = running
  running.kill('SIGSTOP')
  sendFrom(hosts, 'sendp(ether(v4()/GRE(proto=0x6558)/frame(1)), iface="veth1", count=1000)')
  running.kill('SIGCONT')
  await until('all are accounted for', async () => {
    const { received, kernelDropped } = await running.statistics()
    return received + kernelDropped === 1000
  })
  expect(await running.stop()).toBe(0)
  expect(running.report().kernelDropped).toBeGreaterThan(0)
  expectBalance(running.report())
})
