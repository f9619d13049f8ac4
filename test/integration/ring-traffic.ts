import { createHash } from 'node:crypto'
import type { Namespace, NamespacePair } from '../support/namespaces.ts'
import { scapyPython } from '../support/requirements.ts'
import { type Frame, framesOf } from '../support/tshark.ts'

/** What every program below has: the two hosts, inner frames, and tunnels around them. `show` tells what is in a tunnel. */
const PRELUDE = `
import json, random, sys
from scapy.all import *
from scapy.contrib.geneve import GENEVE
from scapy.layers.vxlan import VXLAN
random.seed(47)
conf.verb = 0
link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
v4 = IP(src="10.99.0.1", dst="10.99.0.2")
v6 = IPv6(src="fd99::1", dst="fd99::2")
shown = []
def inner(size):
    frame = bytes(Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04", type=0x88b5)) + random.randbytes(size)
    shown.append(frame.hex())
    return frame
def udp(port, payload):
    return UDP(sport=random.randrange(40000, 60000), dport=port) / Raw(payload)
def vxlan(size, vni=100, port=4789):
    return udp(port, bytes(VXLAN(vni=vni, flags="Instance")) + inner(size))
`

/** Runs a scapy program on the sending host; what it shows are the inner frames, in hexadecimal. */
export function scapySends(host: Namespace, program: string): string[] {
  const out = host.exec([scapyPython()!, '-c', `${PRELUDE}${program}\nprint(json.dumps(shown))`])
  return JSON.parse(out.trimEnd().split('\n').at(-1)!) as string[]
}

/** One of each encapsulation in both address families, of many sizes, with other traffic between; nothing is expected. */
export const EVERY_ENCAPSULATION: string = `
from scapy.contrib.tzsp import TZSP, TZSPTagEnd
tunnels = [
    lambda n: (4789, bytes(VXLAN(vni=n, flags="Instance")) + inner(n)),
    lambda n: (8472, bytes(VXLAN(vni=n, flags="Instance+G", gpid=7)) + inner(n)),
    lambda n: (4790, bytes.fromhex("0c000003") + n.to_bytes(3, "big") + b"\\0" + inner(n)),
    lambda n: (4790, bytes.fromhex("0c000001") + n.to_bytes(3, "big") + b"\\0" + bytes(IP() / Raw(random.randbytes(n)))),
    lambda n: (6081, bytes(GENEVE(vni=n, proto=0x6558)) + inner(n)),
    lambda n: (6081, bytes(GENEVE(vni=n, proto=0x86dd)) + bytes(IPv6() / Raw(random.randbytes(n)))),
    lambda n: (4754, bytes(GRE(proto=0x6558, key_present=1, key=n)) + inner(n)),
    lambda n: (4754, bytes(GRE(proto=0x0800)) + bytes(IP() / Raw(random.randbytes(n)))),
    lambda n: (37008, bytes(TZSP() / TZSPTagEnd()) + inner(n)),
    lambda n: (4789, random.randbytes(n % 12)),
]
options = [[], [IPOption_NOP()] * 8]
packets = []
for n in range(60):
    for tunnel in tunnels:
        port, payload = tunnel(1 + n * 22)
        ip = random.choice([IP(src="10.99.0.1", dst="10.99.0.2", options=random.choice(options)), v6])
        packets.append(link / ip / udp(port, payload))
    packets.append(link / random.choice([v4, v6]) / udp(5353, bytes(100)))
    packets.append(link / random.choice([v4, v6]) / GRE(proto=0x6558, key_present=1, key=n) / Raw(inner(20 * n)))
    packets.append(link / random.choice([v4, v6]) / GRE(proto=0x0800) / IP() / Raw(random.randbytes(n)))
    packets.append(link / v4 / TCP(dport=4789))
    packets.append(link / v4 / UDP(sport=4789, dport=9))
sendp(packets, iface="veth1")
`

export function hashes(frames: readonly Frame[]): string[] {
  return frames.map(({ bytes, captured, wireLength }) => hashed(bytes, captured, wireLength)).sort()
}

/** As `hashes`, of frames that came whole. */
export function hashesOfHex(frames: readonly string[]): string[] {
  return frames.map((bytes) => hashed(bytes, bytes.length / 2, bytes.length / 2)).sort()
}

function hashed(bytes: string, captured: number, wireLength: number): string {
  return `${captured} ${wireLength} ${createHash('sha256').update(bytes).digest('hex')}`
}

export function framesIn(file: string): string[] {
  return hashes(framesOf(file))
}

/** What one list has more of than the other: short, where thousands of frames differ. */
export function difference(
  got: readonly string[],
  expected: readonly string[],
): { extra: string[]; missing: string[] } {
  const beyond = (some: readonly string[], others: readonly string[]): string[] => {
    const left = new Map<string, number>()
    for (const each of others) left.set(each, (left.get(each) ?? 0) + 1)
    return some.filter((each) => {
      const count = left.get(each) ?? 0
      left.set(each, count - 1)
      return count <= 0
    })
  }
  return { extra: beyond(got, expected).slice(0, 5), missing: beyond(expected, got).slice(0, 5) }
}

/** Larger packets than Ethernet's, on the cable between the two. */
export function widenCable(hosts: NamespacePair, mtu: number): void {
  for (const side of [hosts.left, hosts.right]) side.exec(['ip', 'link', 'set', 'dev', side.device, 'mtu', String(mtu)])
}
