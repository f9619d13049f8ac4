import { execFileSync } from 'node:child_process'
import { expect } from 'vitest'
import { IpHeader } from '../../src/wire/ip.ts'
import { LinkHeader } from '../../src/wire/link.ts'
import { LINKTYPE_ETHERNET } from '../../src/wire/link-type.ts'
import { UDP_HEADER_BYTES, UdpHeader } from '../../src/wire/udp.ts'
import { OK } from '../../src/wire/verdict.ts'
import { vxlan } from '../../src/wire/vxlan.ts'
import { requires, scapyPython } from '../support/requirements.ts'
import { hex } from './bytes.ts'

const it = requires('scapy')

const PACKETS = 400

interface Expected {
  packet: string
  port: number
  vni: number
  strict: boolean
  fragment: [number, number, boolean] | null
  payload: string
}

/** Scapy both builds the packets and says what is in them. */
const PROGRAM = `
import json, random
from scapy.all import *
from scapy.layers.vxlan import VXLAN
random.seed(4789)

def tags():
    layer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    for _ in range(random.choice([0, 0, 1, 2])):
        layer = layer / random.choice([Dot1Q, Dot1AD])(vlan=random.randrange(4096), prio=random.randrange(8))
    return layer

def ipv4():
    options = random.choice([[], [], [IPOption_NOP()] * 4, [IPOption_RR(routers=["0.0.0.0"] * 3)]])
    return IP(src="10.0.0.1", dst="10.0.0.2", id=random.randrange(65536), options=options)

def ipv6():
    layer = IPv6(src="2001:db8::1", dst="2001:db8::2")
    for extension in random.sample([
        IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\\0" * 4)]),
        IPv6ExtHdrRouting(addresses=["2001:db8::3"]),
        IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\\0" * 12)]),
        IPv6ExtHdrFragment(offset=0, m=0, id=7),
    ], random.randrange(4)):
        layer = layer / extension
    return layer

for number in range(${PACKETS}):
    inner = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04", type=0x88b5) / Raw(random.randbytes(random.randrange(200)))
    group = random.random() < 0.3
    header = VXLAN(vni=random.choice([0, 1, 0xffffff, random.randrange(1 << 24)]), flags="Instance" + ("+G" if group else ""))
    if group:
        header.gpid = random.randrange(65536)
        header.gpflags = random.choice([0, "A", "D", "A+D"])
    strict = True
    if random.random() < 0.2:
        header.reserved2 = random.randrange(1, 256)
        strict = False
    network = random.choice([ipv4, ipv6])()
    packet = tags() / network / UDP(sport=49152, dport=random.choice([4789, 8472])) / header / inner
    packet = Ether(raw(packet))
    piece = None
    if IP in packet and number % 5 == 0:
        size = len(packet[IP].payload)
        if size > 48:
            packet = Ether(raw(fragment(packet, fragsize=24)[1]))
            piece = [packet[IP].id, packet[IP].frag * 8, bool(packet[IP].flags.MF)]
    print(json.dumps({
        "packet": raw(packet).hex(),
        "port": 0 if piece else packet[UDP].dport,
        "vni": header.vni,
        "strict": strict,
        "fragment": piece,
        "payload": raw(packet[IP].payload).hex() if piece else raw(inner).hex(),
    }))
`

it('what scapy has built is read as scapy reads it', () => {
  const lines = execFileSync(scapyPython()!, ['-c', PROGRAM], { encoding: 'utf8', maxBuffer: 1 << 26 })
    .trim()
    .split('\n')
  const expected = lines.map((line) => JSON.parse(line) as Expected)
  expect(expected.length).toBe(PACKETS)
  expect(expected.filter(({ fragment }) => fragment !== null).length).toBeGreaterThan(10)
  for (const each of expected) {
    const bytes = hex(each.packet)
    const link = new LinkHeader()
    expect(link.decode(bytes, 0, bytes.length, LINKTYPE_ETHERNET)).toBe(OK)
    const rest = bytes.length - link.headerBytes
    const ip = new IpHeader()
    expect(ip.decode(bytes, link.headerBytes, rest, rest, link.etherType)).toBe(OK)
    expect(ip.protocol).toBe(17)
    expect(ip.isFragment ? [ip.fragmentId, ip.fragmentOffset, ip.moreFragments] : null).toEqual(each.fragment)
    const payload = bytes.subarray(link.headerBytes + ip.headerBytes).subarray(0, ip.payloadWireLength)
    if (each.fragment !== null) expect(Buffer.from(payload).toString('hex')).toBe(each.payload)
    else checkTunnel(payload, each)
  }
})

function checkTunnel(datagram: Uint8Array, expected: Expected): void {
  const udp = new UdpHeader()
  expect(udp.decode(datagram, 0, datagram.length, datagram.length)).toBe(OK)
  expect([udp.destinationPort, udp.payloadWireLength]).toEqual([expected.port, datagram.length - UDP_HEADER_BYTES])
  const tunnel = datagram.subarray(UDP_HEADER_BYTES)
  const lenient = vxlan.create({ strict: false })
  expect(lenient.decode(tunnel, 0, tunnel.length, tunnel.length)).toBe(OK)
  expect(lenient.tunnelId).toBe(expected.vni)
  expect(Buffer.from(tunnel.subarray(lenient.headerBytes)).toString('hex')).toBe(expected.payload)
  expect(vxlan.create({ strict: true }).decode(tunnel, 0, tunnel.length, tunnel.length) === OK).toBe(expected.strict)
}
