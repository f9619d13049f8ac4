import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { until } from '../support/waiting.ts'
import { startTcpdump } from './mirrored-host.ts'
import { difference, EVERY_ENCAPSULATION, framesIn, hashesOfHex, scapySends, widenCable } from './ring-traffic.ts'

const it = requires('root', 'namespaces', 'ip', 'ethtool', 'tshark', 'tcpdump', 'scapy', 'build')

let folder = ''
let hosts: NamespacePair
const collectors: Collector[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ring-'))
  hosts = joinedNamespaces()
})
afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.dispose()
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function collect(...args: string[]): Promise<Collector> {
  const collector = await startCollector(args, { namespace: hosts.right.name })
  collectors.push(collector)
  return collector
}

async function ring(file: string, ...args: string[]): Promise<Collector> {
  return await collect('--engine', 'ring', '--out', `pcap:${join(folder, file)}`, ...args)
}

/** Ends it and gives its accounting, which must add up. */
async function ended(collector: Collector): Promise<Report> {
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report.kernelDropped).toBe(0)
  return report
}

const SAME = { extra: [], missing: [] }
const PORTS = [4789, 8472, 4790, 6081, 4754, 37008]
const LISTEN = ['gre://', ...PORTS.map((port) => `:${port}`)].flatMap((each) => ['--listen', each])

it('brings what the sockets of the udp engine bring, byte for byte, in every encapsulation', async () => {
  // First, as it needs the ports; the ring does without.
  const udp = await collect(...LISTEN, '--engine', 'udp', '--out', `pcap:${folder}/udp.pcap`)
  const packets = await ring('ring.pcap', ...LISTEN)
  scapySends(hosts.left, EVERY_ENCAPSULATION)
  const sockets = await ended(udp)
  const report = await ended(packets)
  expect(sockets.delivered).toBeGreaterThan(600)
  expect(difference(framesIn(join(folder, 'ring.pcap')), framesIn(join(folder, 'udp.pcap')))).toEqual(SAME)
  // Not one packet more came through the kernel's filter.
  expect(report).toMatchObject({ received: 720, dropped: sockets.dropped, vnis: sockets.vnis })
})

it('has outer fragments put together, in whatever order they come, and packets of 64 KiB whole', async () => {
  const udp = await collect('--engine', 'udp', '--out', `pcap:${folder}/udp.pcap`)
  const packets = await ring('ring.pcap')
  widenCable(hosts, 65_535)
  const shown = scapySends(
    hosts.left,
    `
packets = []
for n in range(40):
    packets += random.sample(pieces := fragment(IP(src="10.99.0.1", dst="10.99.0.2", id=1000 + n) / vxlan(3000 + n), fragsize=800), len(pieces))
    header = IPv6ExtHdrFragment(id=5000 + n)
    packets += random.sample(pieces := fragment6(v6 / header / vxlan(4000 + n), 1280), len(pieces))
for size in [9000, 40000, 65400]:
    packets += [v4 / vxlan(size), v6 / vxlan(size)]
sendp([link / packet for packet in packets], iface="veth1")
`,
  )
  await ended(udp)
  const report = await ended(packets)
  expect(shown).toHaveLength(86)
  expect(difference(framesIn(join(folder, 'ring.pcap')), hashesOfHex(shown))).toEqual(SAME)
  expect(difference(framesIn(join(folder, 'udp.pcap')), hashesOfHex(shown))).toEqual(SAME)
  expect(Object.keys(report.dropped)).toEqual(['fragment-reassembled'])
})

it.each([
  ['without being asked', []],
  ['of the interface that is named', ['--interface', 'veth2']],
])('takes packets with one VLAN tag or two, %s', async (_what, args) => {
  const packets = await ring('ring.pcap', ...args)
  const shown = scapySends(
    hosts.left,
    `
packets = []
for n in range(20):
    for tags in [Dot1Q(vlan=n), Dot1AD(vlan=n) / Dot1Q(vlan=7), Dot1Q(vlan=n) / Dot1Q(vlan=7)]:
        packets += [link / tags / v4 / vxlan(n), link / tags / v6 / vxlan(n)]
        packets += [link / tags / piece for piece in fragment(IP(src="10.99.0.1", dst="10.99.0.2", id=random.randrange(65536)) / vxlan(2000), fragsize=1200)]
        packets.append(link / tags / v4 / udp(9, bytes(50)))
sendp(packets, iface="veth1")
`,
  )
  const report = await ended(packets)
  expect(shown).toHaveLength(180)
  expect(difference(framesIn(join(folder, 'ring.pcap')), hashesOfHex(shown))).toEqual(SAME)
  expect(Object.keys(report.dropped)).toEqual(['fragment-reassembled'])
})

it('takes only what is addressed to this host, and to the address that is listened on', async () => {
  hosts.right.exec(['ip', 'link', 'set', 'veth2', 'promisc', 'on'])
  hosts.right.exec(['ip', 'address', 'add', '10.99.0.22/24', 'dev', 'veth2'])
  const all = await ring('all.pcap')
  const one = await ring('one.pcap', '--listen', '10.99.0.2:4789', '--listen', '[fd99::2]:6081')
  const shown = scapySends(
    hosts.left,
    `
one = [link / v4 / vxlan(100), link / v6 / udp(6081, bytes(GENEVE(vni=1, proto=0x6558)) + inner(50))]
wanted = len(shown)
others = [link / IP(src="10.99.0.1", dst="10.99.0.22") / vxlan(101), link / v6 / vxlan(102), link / v4 / udp(6081, bytes(GENEVE(vni=1, proto=0x6558)) + inner(51))]
shown.append(wanted)
stranger = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:99")
sendp(one + others + [stranger / v4 / vxlan(103), Ether(dst="ff:ff:ff:ff:ff:ff") / v4 / vxlan(104)], iface="veth1")
`,
  )
  expect((await ended(one)).received).toBe(2)
  expect((await ended(all)).received).toBe(3)
  expect(difference(framesIn(join(folder, 'one.pcap')), hashesOfHex(shown.slice(0, 2)))).toEqual(SAME)
  expect(difference(framesIn(join(folder, 'all.pcap')), hashesOfHex([shown[0]!, shown[2]!, shown[3]!]))).toEqual(SAME)
})

it("works beside a kernel's vxlan device on the same port, and sees what that one sees", async () => {
  const ip = (...args: string[]) => hosts.right.exec(['ip', ...args])
  ip('link', 'add', 'vx100', 'type', 'vxlan', 'id', '100', 'dstport', '4789', 'local', hosts.right.ipv4)
  ip('link', 'set', 'vx100', 'addrgenmode', 'none')
  ip('link', 'set', 'vx100', 'arp', 'off', 'up')
  const packets = await ring('ring.pcap', '--vni', '100')
  const tcpdump = await startTcpdump(hosts.right, 'vx100', join(folder, 'device.pcap'))
  scapySends(hosts.left, `sendp([link / v4 / vxlan(20 + n) for n in range(300)], iface="veth1")`)
  const report = await ended(packets)
  await tcpdump.stop()
  expect(report.delivered).toBe(300)
  expect(difference(framesIn(join(folder, 'ring.pcap')), framesIn(join(folder, 'device.pcap')))).toEqual(SAME)
})

it('keeps the host from answering that nobody has the port', async () => {
  const answers = (): number => {
    const [names, values] = hosts.right
      .exec(['cat', '/proc/net/snmp'])
      .split('\n')
      .filter((line) => line.startsWith('Icmp:'))
      .map((line) => line.split(' '))
    return Number(values![names!.indexOf('OutDestUnreachs')])
  }
  const program = 'sendp([link / v4 / vxlan(20) for n in range(3)], iface="veth1")'
  scapySends(hosts.left, program)
  await until('the host answers where nobody listens', () => answers() > 0)
  const before = answers()
  const packets = await ring('ring.pcap')
  scapySends(hosts.left, program)
  expect((await ended(packets)).delivered).toBe(3)
  expect(answers()).toBe(before)
})
