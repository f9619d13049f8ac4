import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { headerEndsOf } from '../support/header-ends.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { GOLDEN } from '../support/oracle.ts'
import { requires, scapyPython } from '../support/requirements.ts'
import { fieldsOf, framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, CHECKSUM_FROM, comparable, type Peer, receiveBytes, startTcpdump } from './mirrored-host.ts'
import { listings, sender } from './sender-command.ts'

const it = requires(
  'root',
  'namespaces',
  'ip',
  'tc',
  'ethtool',
  'tcpdump',
  'tshark',
  'editcap',
  'capinfos',
  'scapy',
  'build',
)

const VXLAN = ['type', 'vxlan', 'id', '100', 'dstport', '4789']
const TUNNEL = 'vx100'
/** With the tunnel around them, packets still fit into the cable between the hosts. */
const MIRRORED_MTU = 1400

let folder = ''
let hosts: NamespacePair
let peer: Peer
let mirror: string[]
let before: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cut-copies-'))
})
afterEach(() => {
  peer?.dispose()
  hosts?.dispose()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Both directions of the source's interface go to the collector host, where the kernel takes the tunnel off. */
function mirrorTheSource(...options: string[]): void {
  hosts = joinedNamespaces()
  peer = addPeer(hosts.left, MIRRORED_MTU)
  before = listings(hosts.left)
  mirror = ['--interface', peer.device, '--collector', hosts.right.ipv4, '--vni', '100']
  sender(hosts.left, 'up', ...mirror, ...options)
  const { right } = hosts
  right.exec(['ip', 'link', 'add', TUNNEL, ...VXLAN, 'remote', hosts.left.ipv4, 'dev', right.device])
  right.exec(['ip', 'link', 'set', TUNNEL, 'addrgenmode', 'none'])
  right.exec(['ip', 'link', 'set', TUNNEL, 'arp', 'off', 'up'])
}

function takeDown(): void {
  sender(hosts.left, 'down', ...mirror)
  expect(listings(hosts.left)).toBe(before)
}

const inPeer = (...argv: string[]) => execFileSync('ip', ['netns', 'exec', peer.name, ...argv], { stdio: 'pipe' })

/** Sends tagged frames both ways: those that arrive have their tag beside the frame, those that leave have it inside. */
function sendTagged(): void {
  const script = 'import sys; from scapy.all import *; sendp(rdpcap(sys.argv[1]), iface=sys.argv[2], verbose=0)'
  const sendOn = (device: string) => [scapyPython()!, '-c', script, join(GOLDEN, 'kernel-vlan.inner.pcap'), device]
  hosts.left.exec(sendOn(peer.device))
  inPeer(...sendOn('uplink'))
}

/** ICMP, ICMPv6, fragments of both, TCP with options, UDP, and frames with one and two VLAN tags. */
async function talk(): Promise<void> {
  const ping = (...args: string[]) => hosts.left.exec(['ping', '-q', '-i', '0.01', '-c', '5', ...args])
  for (const address of [peer.ipv4, peer.ipv6]) {
    ping(address)
    ping('-s', '4000', address)
  }
  sendTagged()
  inPeer('ping', '-q', '-c', '5', '-i', '0.01', peer.sourceIpv4)
  expect(await receiveBytes(hosts.left, peer, 'tcp', 100_000)).toBe(100_000)
  expect(await receiveBytes(hosts.left, peer, 'udp', 20_000)).toBe(20_000)
}

/** TCP hands over many segments as one frame, to be divided behind tc, unless the interface forbids it. */
function segmentInFrontOfTc(): void {
  hosts.left.exec(['ip', 'link', 'set', peer.device, 'gso_max_segs', '1'])
}

const countOf = (file: string) => Number(/packets:\s+(\d+)/.exec(output('capinfos', '-cM', file))![1])

/** What tcpdump saw on the mirrored interface, and behind the tunnel. */
async function captureTraffic(
  name: string,
  traffic: () => Promise<unknown> = talk,
  complete: (seen: string, got: string) => boolean = (seen, got) => countOf(seen) === countOf(got),
): Promise<{ seen: string; got: string }> {
  const [seen, got] = [join(folder, `${name}-seen.pcap`), join(folder, `${name}-got.pcap`)]
  // Multicast listener reports, which the kernel repeats when it likes: one could come between the two that look.
  const filter = ['not', 'ether', 'dst', '33:33:00:00:00:16']
  const dumps = [
    await startTcpdump(hosts.left, peer.device, seen, filter),
    await startTcpdump(hosts.right, TUNNEL, got, filter),
  ]
  await traffic()
  await until('as much came out of the tunnel as was seen', () => complete(seen, got))
  for (const dump of dumps) await dump.stop()
  return { seen, got }
}

const bytesOf = (file: string) => comparable(framesOf(file).map(({ bytes }) => bytes))

/** Where the kernel keeps more than is asked for, it is blank; but into a TCP header, also a blank one, it puts a checksum. */
function withoutBlank(bytes: string): string {
  const hasBlankTcp = /^0+$/.test(bytes.slice(2 * (14 + 20), CHECKSUM_FROM)) && bytes.length >= 2 * (14 + 20 + 20)
  const blank = hasBlankTcp ? bytes.slice(0, CHECKSUM_FROM) : bytes
  return blank.replace(/(00)+$/, '')
}

const KINDS = [
  ...['ip:icmp:data', 'ip:tcp', 'ip:udp:data', 'ip:data', 'ipv6:icmpv6:data', 'ipv6:ipv6.fraghdr:data'],
  ...['vlan:ethertype:arp', 'ieee8021ad:ethertype:vlan:ethertype:ip:udp:dns'],
]

it('--snaplen: what comes out of the tunnel is what tcpdump -s has of the interface', async () => {
  mirrorTheSource('--snaplen', '96')
  takeDown()
  segmentInFrontOfTc()
  sender(hosts.left, 'up', ...mirror, '--snaplen', '96')
  const { seen, got } = await captureTraffic('snaplen')
  const cut = join(folder, 'cut.pcap')
  output('editcap', '-s', '96', seen, cut)
  expect(bytesOf(got)).toEqual(bytesOf(cut))
}, 60_000)

it.each(['l2', 'l3', 'l4'] as const)(
  '--headers %s: copies end where tshark sees that header end',
  async (headers) => {
    mirrorTheSource('--headers', headers)
    segmentInFrontOfTc()
    const { seen, got } = await captureTraffic(headers)
    const ends = headerEndsOf(seen)
    const wanted = framesOf(seen).map(({ bytes }, i) => bytes.slice(0, 2 * ends[i]![headers]))
    expect(comparable(framesOf(got).map(({ bytes }) => withoutBlank(bytes)))).toEqual(
      comparable(wanted.map(withoutBlank)),
    )
    const longest = Math.max(...ends.map(({ l4 }) => l4))
    expect(framesOf(got).every(({ captured }) => captured <= longest)).toBe(true)
    const kinds = fieldsOf(seen, ['frame.protocols'])
    for (const kind of KINDS) expect(kinds.map(([protocols]) => protocols)).toContain(`eth:ethertype:${kind}`)
  },
  60_000,
)

it('a frame of many segments is cut as a whole, and no copy is longer than asked', async () => {
  mirrorTheSource('--headers', 'l4')
  const bytesIn = (file: string) =>
    fieldsOf(file, ['ip.src', 'ip.len', 'ip.hdr_len', 'tcp.hdr_len'])
      .filter(([source]) => source === peer.sourceIpv4)
      .map(([, total, ip, tcp]) => Number(total) - Number(ip) - Number(tcp))
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)
  const transfer = () => receiveBytes(hosts.left, peer, 'tcp', 1_000_000)
  // The IP header of a copy has the length of all its segments.
  const complete = (_: string, got: string) => sum(bytesIn(got)) === 1_000_000
  const { seen, got } = await captureTraffic('segments', transfer, complete)
  expect(bytesIn(got).length).toBeLessThan(bytesIn(seen).length)
  expect(framesOf(got).every(({ captured }) => captured <= 14 + 60 + 60)).toBe(true)
}, 60_000)

const ECHO = `require('net').createServer(s => s.pipe(s)).listen(7001, () => console.error('ready'))`
/** Conversations one after the other, each from a port of its own. */
const CALLS = `const net = require('net'); let left = +process.argv[2]; (function next() {
  if (left-- === 0) return
  net.connect(7001, process.argv[1], function () { this.end('hello') }).resume().on('close', next)
})()`

it('--sample: whole conversations, both directions, or nothing of them', async () => {
  const conversations = 60
  mirrorTheSource('--sample', '1/3')
  const server = hosts.left.spawn(['ip', 'netns', 'exec', peer.name, process.execPath, '-e', ECHO])
  await new Promise((resolve) => server.stderr!.once('data', resolve))
  const portsIn = (file: string) =>
    fieldsOf(file, ['tcp.srcport', 'tcp.dstport'], '-Y', 'tcp').map(([from, to]) => (from === '7001' ? to! : from!))
  const framesOfPort = (file: string) => {
    const counts = new Map<string, number>()
    for (const port of portsIn(file)) counts.set(port, (counts.get(port) ?? 0) + 1)
    return counts
  }
  const isComplete = (seen: string, got: string): boolean => {
    const [all, chosen] = [framesOfPort(seen), framesOfPort(got)]
    return all.size === conversations && [...chosen].every(([port, count]) => all.get(port) === count)
  }
  const call = async () => hosts.left.exec([process.execPath, '-e', CALLS, peer.ipv4, String(conversations)])
  const { got } = await captureTraffic('sample', call, isComplete)
  const chosen = framesOfPort(got).size
  // Ports are the kernel's choice: 20 of 60, give or take five standard deviations.
  expect(chosen).toBeGreaterThan(1)
  expect(chosen).toBeLessThan(39)
  // What is not chosen is no loss: nothing counts it as one.
  expect(sender(hosts.left, 'status')).toMatch(/sent .*0 errors, 0 dropped/)
  takeDown()
}, 60_000)
