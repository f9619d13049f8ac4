import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, type Peer, SENT_BY_TESTS, startTcpdump } from './mirrored-host.ts'
import { listings, sender, sentPackets } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'tshark', 'capinfos', 'build')

let folder = ''
let hosts: NamespacePair
let peer: Peer | undefined
let collector: Collector | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mirror-sender-'))
  hosts = joinedNamespaces()
})
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  peer?.dispose()
  peer = undefined
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

function hashes(file: string): string[] {
  return framesOf(file)
    .map((frame) => createHash('sha256').update(frame.bytes).digest('hex'))
    .sort()
}

function packetsIn(file: string): number {
  return Number(/packets:\s+(\d+)/.exec(output('capinfos', '-cM', file))![1])
}

/** Besides what a test sends, a host tells its neighbours of its IPv6 addresses, whenever it likes. */
const ECHOES = ['--filter', 'icmp']

it.each(['ipv4', 'ipv6'] as const)(
  'mirrors the interface that carries the tunnel over %s, and never the tunnel',
  async (underlay) => {
    const { left: source, right } = hosts
    sender(source, 'up', '--interface', source.device, '--collector', right[underlay], '--vni', '100')
    const out = join(folder, 'collected.pcapng')
    const seen = join(folder, 'seen.pcap')
    const collect = ['--vni', '100', '--filter', SENT_BY_TESTS, '--out', `pcapng:${out}`]
    collector = await startCollector(collect, { namespace: right.name })
    const tunnel = `udp port 4789 or (ip[6:2] & 0x1fff != 0) or ip6 proto 44`
    const tcpdump = await startTcpdump(source, source.device, seen, [`not (${tunnel}) and ${SENT_BY_TESTS}`])
    const size = underlay === 'ipv4' ? '1472' : '1300'
    for (const address of [right.ipv4, right.ipv6]) source.exec(['ping', '-q', '-i', '0.01', '-c', '20', address])
    // Their copies are larger than the cable takes: the tunnel's packets are fragments, which have no port.
    source.exec(['ping', '-q', '-i', '0.01', '-c', '20', '-s', size, right.ipv4])
    const running = collector
    await until('both have seen the same', async () => (await running.statistics()).delivered === packetsIn(seen))
    await tcpdump.stop()
    await running.stop()
    expect(packetsIn(seen)).toBeGreaterThanOrEqual(120)
    expect(hashes(out)).toEqual(hashes(seen))
  },
  60_000,
)

it('brings no loop about where nobody listens: the errors that come back are left out', async () => {
  const { left: source, right } = hosts
  sender(source, 'up', '--interface', source.device, '--collector', right.ipv4, '--vni', '100', ...ECHOES)
  // Without a collector each packet of the tunnel is answered by "port unreachable".
  source.exec(['ping', '-q', '-i', '0.01', '-c', '20', right.ipv4])
  const unreachable = (): number =>
    Number(
      /OutDestUnreachs (\d+)|IcmpOutDestUnreachs\s+(\d+)/.exec(right.exec(['nstat', '-az', 'IcmpOutDestUnreachs']))![2],
    )
  await until('an error has come back', () => unreachable() > 0)
  const { mirrors } = JSON.parse(sender(source, 'status', '--json')) as {
    mirrors: { mirrored: Record<string, { packets: number }> }[]
  }
  expect(mirrors[0]!.mirrored).toMatchObject({ ingress: { packets: 20 }, egress: { packets: 20 } })
})

it('lets two mirrors of one interface leave out each other, and takes down one alone', () => {
  const { left: source, right } = hosts
  const up = (collectorAddress: string, vni: string) =>
    sender(source, 'up', '--interface', source.device, '--collector', collectorAddress, '--vni', vni, ...ECHOES)
  const before = listings(source)
  up(right.ipv4, '100')
  const one = listings(source)
  up(right.ipv6, '200')
  source.exec(['ping', '-q', '-i', '0.01', '-c', '20', right.ipv4])
  const status = JSON.parse(sender(source, 'status', '--json')) as {
    mirrors: { vni: number; mirrored: Record<string, { packets: number }>; sent: { packets: number } }[]
  }
  expect(status.mirrors.map(({ vni }) => vni).sort()).toEqual([100, 200])
  for (const { mirrored, sent } of status.mirrors) {
    expect(mirrored).toMatchObject({ ingress: { packets: 20 }, egress: { packets: 20 } })
    expect(sent.packets).toBe(40)
  }
  sender(source, 'down', '--vni', '200')
  expect(listings(source)).toBe(one)
  sender(source, 'down', '--vni', '100')
  expect(listings(source)).toBe(before)
})

it('mirrors two interfaces into one tunnel, which goes with the second', () => {
  const { left: source, right } = hosts
  peer = addPeer(source, 1500)
  const before = listings(source)
  const up = (device: string) =>
    sender(source, 'up', '--interface', device, '--collector', right.ipv4, '--vni', '100', ...ECHOES)
  up(source.device)
  up(peer.device)
  source.exec(['ping', '-q', '-i', '0.01', '-c', '10', peer.ipv4])
  const { mirrors } = JSON.parse(sender(source, 'status', '--json')) as { mirrors: { device: string }[] }
  expect(new Set(mirrors.map(({ device }) => device)).size).toBe(1)
  expect(sentPackets(source, mirrors[0]!.device)).toBe(20)
  sender(source, 'down', '--interface', source.device)
  source.exec(['ping', '-q', '-i', '0.01', '-c', '10', peer.ipv4])
  expect(sentPackets(source, mirrors[0]!.device)).toBe(40)
  sender(source, 'down', '--interface', peer.device)
  expect(listings(source)).toBe(before)
})

it('leaves clsact and the filters of others as they are, up and down, 50 times', () => {
  const { left: source, right } = hosts
  const tc = (...args: string[]) => source.exec(['tc', ...args])
  tc('qdisc', 'add', 'dev', source.device, 'clsact')
  const drop = ['protocol', 'ip', 'u32', 'match', 'ip', 'dst', '192.0.2.1', 'flowid', ':1']
  tc('filter', 'add', 'dev', source.device, 'egress', 'pref', '10', ...drop)
  tc('filter', 'add', 'dev', source.device, 'ingress', ...drop)
  const before = listings(source)
  for (let round = 0; round < 50; round++) {
    sender(source, 'up', '--interface', source.device, '--collector', right.ipv4, '--vni', String(100 + round))
    if (round === 0) {
      const up = listings(source)
      const again = sender(source, 'up', '--interface', source.device, '--collector', right.ipv4, '--vni', '100')
      expect(again).toContain('already')
      expect(listings(source)).toBe(up)
    }
    sender(source, 'down', '--interface', source.device)
    if (round % 10 === 0) expect(listings(source)).toBe(before)
  }
  expect(listings(source)).toBe(before)
}, 300_000)
