import { expect, test } from 'vitest'
import { createFilter } from '../../src/frames/bpf-compiler.ts'
import { exclusionBlocks, withoutBlocks } from '../../src/sender/exclusion.ts'
import { mirrorProgram } from '../../src/sender/filter-steps.ts'
import type { TunnelIdentity } from '../../src/sender/mirror.ts'
import { requires } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'

const it = requires('scapy')

const TUNNELS: Record<string, TunnelIdentity> = {
  vxlan4: { encapsulation: 'vxlan', collector: '10.0.0.2', port: 4789, vni: 0x123456 },
  vxlan6: { encapsulation: 'vxlan', collector: '2001:db8::2', port: 4789, vni: 0x123456 },
  geneve4: { encapsulation: 'geneve', collector: '10.0.0.2', port: 6081, vni: 7 },
  gre4: { encapsulation: 'gre', collector: '10.0.0.2', port: 0, vni: 7 },
  gre6: { encapsulation: 'gre', collector: '2001:db8::2', port: 0, vni: 7 },
}

/** Scapy builds the packets; what each is, its author says: `own`, the tunnel's, or not. */
const PROGRAM = `
from scapy.layers.vxlan import VXLAN
from scapy.contrib.geneve import GENEVE
E = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
inner = Ether() / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(dport=4789) / Raw(b"x" * 300)
V = VXLAN(flags=8, vni=0x123456) / inner
options = [IPOption_NOP()] * 8
v4 = lambda **k: IP(src="10.0.0.1", dst="10.0.0.2", **k)
v6 = lambda: IPv6(src="2001:db8::1", dst="2001:db8::2")
back4 = IP(src="10.0.0.2", dst="10.0.0.1")
back6 = IPv6(src="2001:db8::2", dst="2001:db8::1")
u = lambda d=4789: UDP(sport=50000, dport=d)
cases = []
def case(tunnel, own, what, layers):
    for tags, name in [((), ""), ((Dot1Q(vlan=5),), ", tagged"), ((Dot1AD(vlan=5), Dot1Q(vlan=6)), ", tagged twice")]:
        packet = E
        for tag in tags:
            packet = packet / tag
        cases.append({"tunnel": tunnel, "own": own, "what": what + name, "bytes": bytes(packet / layers).hex()})

case("vxlan4", True, "to the collector", v4() / u() / V)
case("vxlan4", True, "with IP options", v4(options=options) / u() / V)
case("vxlan4", True, "of another VNI to the same port", v4() / u() / VXLAN(flags=8, vni=9) / inner)
case("vxlan4", True, "from the collector", back4 / u() / V)
for i, piece in enumerate(fragment(v4() / u() / V, 100)):
    case("vxlan4", True, "fragment %d" % i, piece)
case("vxlan4", True, "to another address, as NAT leaves it", IP(src="10.0.0.1", dst="10.9.9.9") / u(31000) / V)
case("vxlan4", True, "wrapped by IPsec", v4() / ESP(data=b"y" * 64))
for kind in [3, 4, 5, 11, 12]:
    case("vxlan4", True, "ICMP error %d about it" % kind, IP(src="10.0.0.7", dst="10.0.0.1") / ICMP(type=kind) / bytes(v4() / u() / V)[:64])
case("vxlan4", False, "the collector's other ports", v4() / u(53) / b"query")
case("vxlan4", False, "other hosts' VXLAN", IP(src="10.0.0.1", dst="10.0.0.3") / u() / VXLAN(flags=8, vni=9) / inner)
case("vxlan4", False, "TCP to the collector", v4() / TCP(dport=4789))
case("vxlan4", False, "an echo request to the collector", v4() / ICMP() / (b"z" * 56))
case("vxlan4", False, "an ICMP error about something else", IP(src="10.0.0.7", dst="10.0.0.1") / ICMP(type=3) / bytes(v4() / u(53) / b"query")[:64])
case("vxlan4", False, "ARP", ARP(pdst="10.0.0.2"))
case("vxlan4", False, "IPv6", v6() / u() / b"v")

case("vxlan6", True, "to the collector", v6() / u() / V)
case("vxlan6", True, "from the collector", back6 / u() / V)
for i, piece in enumerate(fragment6(v6() / IPv6ExtHdrFragment(id=7) / u() / V, 160)):
    case("vxlan6", True, "fragment %d" % i, piece)
case("vxlan6", True, "to another address, as NAT leaves it", IPv6(src="2001:db8::1", dst="2001:db8::99") / u(31000) / V)
for error in [ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, ICMPv6ParamProblem]:
    case("vxlan6", True, "error %s about it" % error.__name__, IPv6(src="2001:db8::7", dst="2001:db8::1") / error() / bytes(v6() / u() / V)[:120])
case("vxlan6", False, "the collector's other ports", v6() / u(53) / b"query")
case("vxlan6", False, "TCP to the collector", v6() / TCP(dport=4789))
case("vxlan6", False, "an echo request", v6() / ICMPv6EchoRequest())
case("vxlan6", False, "neighbour discovery", IPv6(dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt="2001:db8::2"))
case("vxlan6", False, "an address that differs at its end", IPv6(src="2001:db8::1", dst="2001:db8::3") / u() / b"v")
case("vxlan6", False, "a fragment of TCP to the collector", v6() / IPv6ExtHdrFragment(nh=6, offset=100, m=1, id=9) / (b"t" * 100))

case("geneve4", True, "to the collector", v4() / u(6081) / GENEVE(vni=7) / inner)
case("geneve4", True, "to another address, as NAT leaves it", IP(dst="10.9.9.9") / u(31000) / GENEVE(vni=7, proto=0x6558) / inner)
case("geneve4", False, "VXLAN", v4() / u() / V)
case("gre4", True, "to the collector", v4() / GRE(key_present=1, key=7) / inner)
case("gre4", True, "a later fragment", fragment(v4() / GRE(key_present=1, key=7) / inner, 100)[-1])
case("gre4", True, "an ICMP error about it", back4 / ICMP(type=3, code=2) / bytes(v4() / GRE(key_present=1, key=7) / inner)[:64])
case("gre4", False, "UDP to the collector", v4() / u() / V)
case("gre6", True, "to the collector", v6() / GRE(key_present=1, key=7) / inner)
case("gre6", True, "a later fragment", fragment6(v6() / IPv6ExtHdrFragment(id=7) / GRE(key_present=1, key=7) / inner, 160)[-1])
case("gre6", True, "an error about it", back6 / ICMPv6DestUnreach(code=4) / bytes(v6() / GRE(key_present=1, key=7) / inner)[:120])
case("gre6", False, "UDP to the collector", v6() / u() / V)
for each in cases:
    print(json.dumps(each))
`

interface Case {
  readonly tunnel: string
  readonly own: boolean
  readonly what: string
  readonly bytes: string
}

function mirrors(tunnel: TunnelIdentity): (frame: Uint8Array) => boolean {
  // Siblings to the same place share blocks, 64 in each; they must not hide what is looked for.
  const siblings = Array.from({ length: 65 }, (_, i) => ({ ...tunnel, vni: 0x777 + i }))
  const filter = createFilter(mirrorProgram([siblings[0]!, tunnel, ...siblings.slice(1)], undefined))
  return (frame) => filter(frame, 0, frame.length, frame.length)
}

it("leaves out what is the tunnel's own, and nothing else, also of frames that end anywhere", () => {
  const cases = scapyLines<Case>(PROGRAM)
  expect(cases.length).toBeGreaterThan(120)
  const wrong: string[] = []
  for (const { tunnel, own, what, bytes } of cases) {
    const frame = Buffer.from(bytes, 'hex')
    const isMirrored = mirrors(TUNNELS[tunnel]!)
    if (isMirrored(frame) === own) wrong.push(`${tunnel}: ${what}`)
    // A load outside the frame would end the program, and the frame would be missing at the collector.
    for (let length = 14; length < frame.length && !own; length++) {
      if (!isMirrored(frame.subarray(0, length))) wrong.push(`${tunnel}: ${what}, cut to ${length} bytes`)
    }
  }
  expect(wrong).toEqual([])
})

test('blocks are found again, and what is behind them is left as it was', () => {
  const filter = [
    { code: 0x28, jt: 0, jf: 0, k: 12 },
    { code: 0x15, jt: 0, jf: 1, k: 0x806 },
    { code: 0x06, jt: 0, jf: 0, k: 65_535 },
    { code: 0x06, jt: 0, jf: 0, k: 0 },
  ]
  expect(withoutBlocks(mirrorProgram(Object.values(TUNNELS), filter))).toEqual(filter)
  expect(withoutBlocks(exclusionBlocks([TUNNELS.vxlan6!]))).toEqual([])
})
