import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires, scapyPython } from '../support/requirements.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'root', 'namespaces', 'ip', 'ethtool', 'scapy', 'tshark')

/**
 * Mirrors that no machine here can be, as scapy builds them: (packet, frame that was mirrored, identifier). HP's header,
 * which scapy does not know, is twelve bytes; tshark's dissection of it is the subject of another test.
 */
const PROGRAM = `
import json
from scapy.all import *
from scapy.layers.vxlan import VXLAN
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.tzsp import TZSP, TZSPTagEnd, TZSPTagPadding, TZSPTagRawRSSIByte, TZSPTagRXFrameLength
conf.verb = 0
ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
v4 = IP(src="10.99.0.1", dst="10.99.0.2")
v6 = IPv6(src="fd99::1", dst="fd99::2")
udp = lambda port: UDP(sport=49152, dport=port)
frame = lambda number, size=60: Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04", type=0x88b5)/Raw(bytes([number]) * size)
bare = IP(src="192.0.2.1", dst="192.0.2.2")/UDP(sport=1, dport=2)/Raw(b"bare")
blank = Ether(src="00:00:00:00:00:00", dst="00:00:00:00:00:00")/bare
nvgre = lambda vsid: GRE(key_present=1, key=vsid << 8 | 5, proto=0x6558)
gre2 = lambda number: GRE(seqnum_present=1, sequence_number=number, proto=0x88be)
gre3 = lambda number: GRE(seqnum_present=1, sequence_number=number, proto=0x22eb)
def tagged(number, vlan, prio):
    inner = frame(number)
    return Ether(src=inner.src, dst=inner.dst)/Dot1Q(vlan=vlan, prio=prio, type=0x88b5)/inner[Raw]
packets = []
for ip in [v4, v6]:
    for build in [
        lambda n: (ip/nvgre(n)/frame(n), frame(n), n),
        lambda n: (ip/udp(4754)/nvgre(n)/frame(n), frame(n), n),
        lambda n: (ip/udp(4754)/GRE(proto=0x0800)/bare, blank, 0),
        lambda n: (ip/udp(4790)/VXLAN(flags="Instance+NextProtocol", NextProtocol=3, vni=n)/frame(n), frame(n), n),
        lambda n: (ip/udp(4790)/VXLAN(flags="Instance+NextProtocol", NextProtocol=1, vni=n)/bare, blank, n),
        lambda n: (ip/udp(6081)/GENEVE(vni=n, proto=0x6558, options=[GeneveOptions(classid=0x102, type=1, data=b"abcd")])/frame(n), frame(n), n),
        lambda n: (ip/udp(37008)/TZSP()/TZSPTagEnd()/frame(n), frame(n), 0),
        lambda n: (ip/udp(37008)/TZSP()/TZSPTagRawRSSIByte()/TZSPTagPadding()/TZSPTagRXFrameLength()/TZSPTagEnd()/frame(n), frame(n), 0),
        lambda n: (ip/udp(7932)/Raw(bytes(9) + bytes([0, 0, 0]))/frame(n), frame(n), 0),
        lambda n: (ip/udp(7932)/Raw(bytes(9) + bytes([0x40, 100, 0x80]))/frame(n), tagged(n, 100, 0), 0),
        lambda n: (ip/GRE(proto=0x88be)/frame(n), frame(n), 0),
        lambda n: (ip/gre2(n)/ERSPAN_II(ver=1, session_id=n)/frame(n), frame(n), n),
        lambda n: (ip/gre2(n)/ERSPAN_II(ver=1, session_id=n, vlan=77, cos=3, en=2)/frame(n), tagged(n, 77, 3), n),
        lambda n: (ip/gre3(n)/ERSPAN_III(session_id=n)/frame(n), frame(n), n),
        lambda n: (ip/gre3(n)/ERSPAN_III(session_id=n, o=1)/ERSPAN_PlatformSpecific()/frame(n), frame(n), n),
    ]:
        packets.append(build(len(packets) + 1))
for packet, _, _ in packets: sendp(ether/packet, iface="veth1")
print(json.dumps([{"frame": raw(frame).hex(), "id": id} for _, frame, id in packets]))
`

let folder = ''
let hosts: NamespacePair
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mirrors-'))
  hosts = joinedNamespaces()
})
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

it.each([
  ['udp', []],
  ['ring', ['--interface', 'veth2']],
])('engine %s takes every other encapsulation off, over IPv4 and IPv6', async (engine, more) => {
  const file = join(folder, 'out.pcap')
  const listen = [':4754', ':4790', ':6081', ':7932', ':37008', 'gre://'].flatMap((each) => ['--listen', each])
  const args = [...listen, '--engine', engine, ...more, '--gre-key-mode', 'vsid', '--out', `pcap:${file}`]
  const running = await startCollector(args, { namespace: hosts.right.name })
  collector = running
  const sent = JSON.parse(hosts.left.exec([scapyPython()!, '-c', PROGRAM])) as { frame: string; id: number }[]
  await until('all have arrived', async () => (await running.statistics()).received >= sent.length)
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: sent.length, delivered: sent.length, dropped: {}, kernelDropped: 0 })
  const ids: Record<string, number> = {}
  for (const { id } of sent) ids[id] = (ids[id] ?? 0) + 1
  expect(report.vnis).toEqual(ids)
  const got = framesOf(file).map(({ bytes }) => bytes)
  // Sockets take turns: order holds within each.
  expect(got.sort()).toEqual(sent.map(({ frame }) => frame).sort())
})
