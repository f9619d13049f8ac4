import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { Collector, expectBalance } from '../support/collector.ts'
import { requires, scapyPython, unmet } from '../support/requirements.ts'
import { framesOf } from '../support/tshark.ts'

/** What scapy sends, and the frames that it put into it: one for each depth, from 1. */
interface Sent {
  name: string
  layers: { id: number; frame: string }[]
}

/** Scapy both builds the packets and says what is in them. */
const PROGRAM = `
import json, sys
from scapy.all import *
from scapy.layers.vxlan import VXLAN
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.erspan import ERSPAN_II

MACS = dict(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
frame = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")/IP(src="192.0.2.1", dst="192.0.2.2")/UDP(sport=1, dport=7)/Raw(b"innermost" * 8)

def over(port, six=False):
    ip = IPv6(src="2001:db8::1", dst="2001:db8::2") if six else IP(src="10.0.0.1", dst="10.0.0.2")
    return ip/UDP(sport=49152, dport=port, chksum=0)

def aws(payload):
    options = [GeneveOptions(classid=0x0108, type=1, data=b"\\x00" * 8), GeneveOptions(classid=0x0108, type=2, data=b"\\x01" * 8), GeneveOptions(classid=0x0108, type=3, data=b"\\x02" * 4)]
    return GENEVE(vni=0, proto=0x0800 if isinstance(payload, IP) else 0x86dd, options=options)/payload

def vx(vni, payload):
    return VXLAN(vni=vni, flags="Instance")/payload

def network(packet):
    """As an Ethernet frame, where the tunnel carried an IP packet alone."""
    return Ether(src="00:00:00:00:00:00", dst="00:00:00:00:00:00")/packet

ether = lambda packet: Ether(**MACS)/packet
mirror = over(4789)/vx(77, frame)
mirror6 = over(4789, True)/vx(78, frame)
two = vx(2, frame)
three = vx(3, ether(over(8472)/two))
broken = over(4789)/Raw(bytes(8) + raw(frame))
piece = IP(src="10.0.0.1", dst="10.0.0.2", flags="MF")/UDP(sport=1, dport=4789, chksum=0, len=2000)/vx(9, frame)
empty = over(4789)/vx(9, Raw(b""))
keyed = IP(src="10.0.0.5", dst="10.0.0.6")/GRE(key_present=1, key=500, proto=0x6558)/frame
tagged = Ether(**MACS)/Dot1Q(vlan=5)/over(4789)/vx(6, frame)

hollow = ether(IP(src="10.0.0.5", dst="10.0.0.6")/GRE(proto=0x6558))
hollow_tagged = Ether(**MACS)/Dot1Q(vlan=77)/IP(src="10.0.0.5", dst="10.0.0.6")/GRE(proto=0x6558)
erspan = IP(src="10.0.0.1", dst="10.0.0.2")/GRE(seqnum_present=1, sequence_number=1, proto=0x88be)/ERSPAN_II(ver=1, vlan=77, en=2, session_id=8)/hollow

cases = [
    ("a mirror through a gateway load balancer", over(6081)/aws(mirror), [(0, network(mirror)), (77, frame)]),
    ("the same in IPv6", over(6081, True)/aws(mirror6), [(0, network(mirror6)), (78, frame)]),
    ("Geneve with a plain frame", over(6081)/GENEVE(vni=5, proto=0x6558)/frame, [(5, frame)]),
    ("Geneve with a frame that has VXLAN in it", over(6081)/GENEVE(vni=5, proto=0x6558)/ether(mirror), [(5, ether(mirror)), (77, frame)]),
    ("three times VXLAN", over(4789)/vx(4, ether(over(4789)/three)), [(4, ether(over(4789)/three)), (3, ether(over(8472)/two)), (2, frame)]),
    ("GRE in VXLAN", over(4789)/vx(4, ether(keyed)), [(4, ether(keyed)), (500, frame)]),
    ("VXLAN behind a tag in VXLAN", over(4789)/vx(4, tagged), [(4, tagged), (6, frame)]),
    ("what looks like VXLAN by its port, without the I flag", over(6081)/aws(broken), [(0, network(broken))]),
    ("a piece of a fragmented tunnel", over(6081)/aws(piece), [(0, network(piece))]),
    ("an inner tunnel with no frame in it, of the kind of the outer, which has a tag to put back", erspan, [(8, hollow_tagged)]),
    ("an inner tunnel with no frame in it", over(6081)/aws(empty), [(0, network(empty))]),
]
for name, packet, layers in cases:
    print(json.dumps({"name": name, "layers": [{"id": id, "frame": raw(layer).hex()} for id, layer in layers]}))
wrpcap(sys.argv[1], [ether(packet) for _, packet, _ in cases])
`

/** Depths that a mirror's own nesting takes off: all of them where Geneve carries IP that carries VXLAN, else one. */
const OWN_NESTING = ['a mirror through a gateway load balancer', 'the same in IPv6']

const NEEDS = ['build', 'scapy', 'tshark'] as const

let folder = ''
let capture = ''
let sent: Sent[] = []
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nested-'))
  capture = join(folder, 'outer.pcap')
  if (unmet(...NEEDS).length === 0) sent = build(capture)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function build(file: string): Sent[] {
  const lines = execFileSync(scapyPython()!, ['-c', PROGRAM, file], { encoding: 'utf8' })
  return lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Sent)
}

function layerAt({ name, layers }: Sent, depth: string): Sent['layers'][number] {
  const wanted = depth === '' ? (OWN_NESTING.includes(name) ? 2 : 1) : depth === 'max' ? layers.length : Number(depth)
  return layers[Math.min(wanted, layers.length) - 1]!
}

describe('tunnels inside tunnels', () => {
  const it = requires(...NEEDS)

  it.each(['', '1', '2', '3', 'max'])('--depth "%s" takes off what scapy put on, and no more', async (depth) => {
    const out = join(folder, `${depth}.inner.pcap`)
    const args = depth === '' ? [] : ['--depth', depth]
    const collector = new Collector(['decap', capture, '--out', `pcap:${out}`, ...args])
    try {
      expect({ exit: await collector.exit(), stderr: collector.stderr }).toMatchObject({ exit: 0 })
      const report = collector.report()
      expectBalance(report)
      expect(report.dropped).toEqual({})
      const expected = sent.map((each) => ({ name: each.name, ...layerAt(each, depth) }))
      expect(expected.length).toBeGreaterThan(10)
      const got = framesOf(out).map(({ bytes }, i) => ({ name: sent[i]?.name, frame: bytes }))
      expect(got).toEqual(expected.map(({ name, frame }) => ({ name, frame })))
      const vnis: Record<string, number> = {}
      for (const { id } of expected) vnis[id] = (vnis[id] ?? 0) + 1
      expect(report.vnis).toEqual(vnis)
    } finally {
      await collector.dispose()
    }
  })

  it('--vni means the innermost tunnel that was taken off', async () => {
    const collector = new Collector(['decap', capture, '--out', 'null', '--depth', 'max', '--vni', '77,2'])
    try {
      expect(await collector.exit()).toBe(0)
      expect(collector.report().vnis).toEqual({ 2: 1, 77: 2 })
    } finally {
      await collector.dispose()
    }
  })
})
