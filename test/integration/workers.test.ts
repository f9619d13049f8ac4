import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { fieldsOf, framesOf, output, packetsIn } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, mirror, type Peer, SENT_BY_TESTS, startTcpdump } from './mirrored-host.ts'
import { difference, hashes, hashesOfHex, scapySends } from './ring-traffic.ts'

const it = requires(
  'root',
  'namespaces',
  'ip',
  'tc',
  'ethtool',
  'tcpdump',
  'tshark',
  'capinfos',
  'strace',
  'scapy',
  'build',
)
const SAME = { extra: [], missing: [] }
const FLOWS = 24
const ENGINES = ['udp', 'ring'] as const

let folder = ''
let hosts: NamespacePair
let peer: Peer
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'workers-'))
  hosts = joinedNamespaces()
  peer = addPeer(hosts.left, 1400)
  mirror(hosts.left, peer.device, hosts.right.ipv4)
})
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  peer.dispose()
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function collect(...args: string[]): Promise<Collector> {
  const options = ['--listen', ':4789', '--filter', SENT_BY_TESTS, ...args]
  collector = await startCollector(options, { namespace: hosts.right.name })
  return collector
}

/** Numbered datagrams of many flows, which the kernel mirrors into VXLAN with a source port for each flow. */
const SEND = `
  const { createSocket } = require('node:dgram')
  const [flows, rounds, to] = process.argv.slice(1)
  const sockets = Array.from({ length: +flows }, () => createSocket('udp4'))
  let round = 0
  const next = () => {
    if (round === +rounds) return sockets.forEach((socket) => socket.close())
    const bytes = Buffer.alloc(100)
    bytes.writeUInt32BE(round++)
    let left = sockets.length
    for (const socket of sockets) socket.send(bytes, 7000, to, () => --left === 0 && (round % 50 === 0 ? setTimeout(next, 1) : next()))
  }
  next()`

function sendFlows(rounds: number): void {
  hosts.left.exec([process.execPath, '-e', SEND, String(FLOWS), String(rounds), peer.ipv4])
}

/** The number in each datagram, in the order of the file, by the flow's source port; sent ones only, not what comes back. */
function numbersByFlow(file: string): Map<string, number[]> {
  const flows = new Map<string, number[]>()
  const rows = fieldsOf(file, ['udp.srcport', 'udp.payload'], '-Y', 'udp.dstport == 7000 and not icmp')
  for (const [port, payload] of rows as [string, string][]) {
    flows.set(port, [...(flows.get(port) ?? []), Number.parseInt(payload.slice(0, 8), 16)])
  }
  return flows
}

it.each(ENGINES.flatMap((engine) => [1, 2, 4].map((workers) => [engine, workers] as const)))(
  'engine %s, %i workers: one file has what tcpdump saw, in whole records, each flow in order',
  async (engine, workers) => {
    const ROUNDS = 200
    const out = join(folder, 'out.pcap')
    const seen = join(folder, 'seen.pcap')
    const running = await collect('--engine', engine, '--workers', String(workers), '--out', `pcap:${out}`)
    const tcpdump = await startTcpdump(hosts.left, peer.device, seen, [SENT_BY_TESTS])
    sendFlows(ROUNDS)
    await until('all have arrived', async () => (await running.statistics()).delivered >= packetsIn(seen))
    await tcpdump.stop()
    expect(await running.stop()).toBe(0)
    const report = running.report()
    expectBalance(report)
    expect(report).toMatchObject({ kernelDropped: 0, sinks: [{ written: report.delivered }] })
    expect(report).not.toHaveProperty('workerRestarts')
    expect(difference(hashes(framesOf(out)), hashes(framesOf(seen)))).toEqual(SAME)
    expect(output('tcpdump', '-nn', '-r', out).trimEnd().split('\n')).toHaveLength(report.delivered)
    const flows = numbersByFlow(out)
    expect(flows.size).toBe(FLOWS)
    const inOrder = Array.from({ length: ROUNDS }, (_, i) => i)
    for (const numbers of flows.values()) expect(numbers).toEqual(inOrder)
  },
  60_000,
)

it('engine ring: each tunnel goes to the ring that its outer header says, pieces and GRE by the addresses alone', async () => {
  const args = [
    '--listen',
    'gre://',
    '--listen',
    ':4754',
    '--engine',
    'ring',
    '--workers',
    '2',
    '--out',
    `pcap:${folder}/a.pcap`,
  ]
  const running = await collect(...args)
  const sentHex = scapySends(
    hosts.left,
    `
packets = []
for n in range(60):
    packets += [link / v4 / vxlan(30 + n), link / v6 / vxlan(30 + n)]
    packets += [link / Dot1Q(vlan=5) / Dot1Q(vlan=7) / v4 / vxlan(30 + n)]
    packets += [link / piece for piece in fragment(IP(src="10.99.0.1", dst="10.99.0.2", id=1000 + n) / vxlan(2000 + n), fragsize=800)]
    header = IPv6ExtHdrFragment(id=5000 + n)
    packets += [link / piece for piece in fragment6(v6 / header / vxlan(4000 + n), 1280)]
    packets.append(link / v4 / GRE(proto=0x6558, key_present=1, key=7, seqnum_present=1, seqence_number=n) / Raw(inner(40 + n)))
    packets.append(link / v4 / udp(4754, bytes(GRE(proto=0x6558, key_present=1, key=8, seqnum_present=1, seqence_number=n)) + inner(40 + n)))
sendp(packets, iface="veth1")
`,
  )
  await until('all have arrived', async () => (await running.statistics()).delivered >= sentHex.length)
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  // Hosts speak by themselves now and then: filtered.
  const reasons = Object.keys(report.dropped).filter((reason) => reason !== 'filtered')
  expect(reasons).toEqual(['fragment-reassembled'])
  // Numbers that came to two workers would be missed by both.
  expect(report).not.toHaveProperty('sequenceGaps')
  expect(difference(hashes(framesOf(join(folder, 'a.pcap'))), hashesOfHex(sentHex))).toEqual(SAME)
})

it.each([
  ['udp', 'recvmmsg', / = (\d+)/],
  ['ring', 'poll', / = 1 /],
] as const)('engine %s: both workers get packets', async (engine, call, got) => {
  const running = await collect('--engine', engine, '--workers', '2', '--out', 'null')
  const trace = join(folder, 'trace')
  const strace = hosts.right.spawn(['strace', '-f', '-xx', '-e', `trace=${call}`, '-o', trace, '-p', `${running.pid}`])
  let said = ''
  strace.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until('strace looks on', () => said.includes('attached'))
  // A wait that strace came into the middle of ends as another system call; none is longer than 100 ms.
  await setTimeout(300)
  sendFlows(20)
  await until('all have arrived', async () => (await running.statistics()).delivered >= FLOWS * 20)
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  const byThread = new Map<string, number>()
  for (const line of readFileSync(trace, 'utf8').split('\n')) {
    const [, thread] = /^(\d+) /.exec(line) ?? []
    const count = line.includes(call) ? got.exec(line) : null
    if (count !== null) byThread.set(thread!, (byThread.get(thread!) ?? 0) + Number(count[1] ?? 1))
  }
  expect([...byThread.values()].filter((count) => count > 0).length).toBeGreaterThanOrEqual(2)
})

it('two VNIs go to a file each, whichever worker brings them, and pcapng has one interface for each', async () => {
  const ip = (...args: string[]) => hosts.left.exec(['ip', ...args])
  ip('link', 'add', 'vx200', 'type', 'vxlan', 'id', '200', 'remote', hosts.right.ipv4, 'dstport', '4789')
  ip('link', 'set', 'vx200', 'addrgenmode', 'none')
  ip('link', 'set', 'vx200', 'arp', 'off', 'up')
  for (const direction of ['ingress', 'egress']) {
    const all = ['protocol', 'all', 'pref', '1', 'u32', 'match', 'u32', '0', '0']
    const actions = ['vx100', 'vx200'].flatMap((device) => ['action', 'mirred', 'egress', 'mirror', 'dev', device])
    hosts.left.exec(['tc', 'filter', 'del', 'dev', peer.device, direction])
    hosts.left.exec(['tc', 'filter', 'add', 'dev', peer.device, direction, ...all, ...actions])
  }
  const files = ['--out', `pcap:${folder}/{vni}.pcap`, '--out', `pcapng:${folder}/all.pcapng`]
  const running = await collect('--workers', '2', ...files)
  const seen = join(folder, 'seen.pcap')
  const tcpdump = await startTcpdump(hosts.left, peer.device, seen, [SENT_BY_TESTS])
  sendFlows(50)
  await until('all have arrived', async () => (await running.statistics()).delivered >= 2 * packetsIn(seen))
  await tcpdump.stop()
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  const expected = hashes(framesOf(seen))
  for (const vni of [100, 200])
    expect(difference(hashes(framesOf(join(folder, `${vni}.pcap`))), expected)).toEqual(SAME)
  const interfaces = fieldsOf(join(folder, 'all.pcapng'), ['frame.interface_name'])
  const counts = new Map<string, number>()
  for (const [name] of interfaces) counts.set(name!, (counts.get(name!) ?? 0) + 1)
  expect(counts).toEqual(
    new Map([
      ['vxlan-100', expected.length],
      ['vxlan-200', expected.length],
    ]),
  )
  expect(output('capinfos', join(folder, 'all.pcapng'))).toMatch(/Number of interfaces in file: 2/)
})
