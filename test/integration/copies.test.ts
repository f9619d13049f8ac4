import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, mirror, mirrorInto, type Peer, receiveBytes, startTcpdump } from './mirrored-host.ts'

let folder = ''
let hosts: NamespacePair | undefined
let peer: Peer | undefined
let station: string | undefined
let collector: Collector | undefined

const run = (...argv: string[]) => execFileSync(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] })
const inside = (namespace: string, ...argv: string[]) => run('ip', 'netns', 'exec', namespace, ...argv)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'copies-'))
})
afterAll(async () => {
  await collector?.dispose()
  if (station !== undefined) execFileSync('sh', ['-c', `ip netns del ${station} 2>/dev/null || true`])
  peer?.dispose()
  hosts?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** Joins a second station to the source host, which routes between it and the peer; both its interfaces are mirrored. */
function routeBetweenStations(): { namespace: string; ipv4: string; ipv6: string } {
  hosts = joinedNamespaces()
  const router = hosts.left
  peer = addPeer(router, 1400)
  station = `${router.name}s`
  run('ip', 'netns', 'add', station)
  run('ip', 'link', 'add', 'second', 'netns', router.name, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', station)
  const macs = ['02:00:00:00:02:01', '02:00:00:00:02:02']
  for (const [i, [namespace, device]] of [[router.name, 'second'] as const, [station, 'uplink'] as const].entries()) {
    inside(namespace, 'ip', 'link', 'set', device, 'addrgenmode', 'none')
    inside(namespace, 'ip', 'link', 'set', device, 'mtu', '1400', 'address', macs[i]!, 'up')
    inside(namespace, 'ethtool', '-K', device, ...OFFLOADS.flatMap((offload) => [offload, 'off']))
    for (const prefix of ['10.97.0.', 'fd97::']) {
      const bits = prefix === 'fd97::' ? '/64' : '/24'
      inside(
        namespace,
        'ip',
        'address',
        'add',
        `${prefix}${i + 1}${bits}`,
        'dev',
        device,
        ...(bits === '/64' ? ['nodad'] : []),
      )
      const neighbour = ['ip', 'neighbour', 'replace', `${prefix}${2 - i}`, 'lladdr', macs[1 - i]!]
      inside(namespace, ...neighbour, 'dev', device, 'nud', 'permanent')
    }
  }
  inside(router.name, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  for (const [namespace, ipv4, ipv6] of [
    [station, '10.97.0.1', 'fd97::1'],
    [peer.name, peer.sourceIpv4, 'fd98::1'],
  ] as const) {
    inside(namespace, 'ip', 'route', 'add', 'default', 'via', ipv4)
    inside(namespace, 'ip', '-6', 'route', 'add', 'default', 'via', ipv6)
  }
  mirror(router, peer.device, hosts.right.ipv4)
  mirrorInto(router, 'second')
  return { namespace: station, ipv4: '10.97.0.2', ipv6: 'fd97::2' }
}

const OFFLOADS = ['rx', 'tx', 'sg', 'tso', 'gso', 'gro', 'tx-udp-segmentation']

/** What routers leave alone of the IP packets in a capture, as tshark shows it, sorted. */
function packetsIn(file: string): string[] {
  const fields = [
    'ip.src',
    'ip.dst',
    'ip.id',
    'ipv6.src',
    'ipv6.dst',
    'icmp.seq',
    'icmpv6.echo.sequence_number',
    'tcp.srcport',
    'tcp.seq_raw',
    'tcp.ack_raw',
    'tcp.len',
    'icmp.type',
    'icmpv6.type',
    'frame.len',
  ]
  return output('tshark', '-n', '-r', file, '-T', 'fields', ...fields.flatMap((field) => ['-e', field]))
    .trimEnd()
    .split('\n')
    .sort()
}

requires(
  'root',
  'namespaces',
  'ip',
  'tc',
  'ethtool',
  'tcpdump',
  'tshark',
  'capinfos',
  'build',
)(
  'of packets mirrored where they enter a router and where they leave, --dedup delivers each once',
  async () => {
    const host = routeBetweenStations()
    const [out, seen] = [join(folder, 'out.pcap'), join(folder, 'seen.pcap')]
    // Both of the router's copies come within a moment; a busy machine may take long between the two.
    // Routers tell each of their networks by multicast that they are there, at moments of their own.
    const filter = 'not ether multicast'
    const options = ['--vni', '100', '--filter', filter, '--dedup', '2s', '--out', `pcap:${out}`]
    const running = await startCollector(['--listen', ':4789', ...options], { namespace: hosts!.right.name })
    collector = running
    const tcpdump = await startTcpdump(hosts!.left, peer!.device, seen, [filter])
    const ping = (...args: string[]) => inside(host.namespace, 'ping', '-q', '-c', '50', '-i', '0.01', ...args)
    ping(peer!.ipv4)
    ping('-s', '1300', peer!.ipv4)
    ping(peer!.ipv6)
    const client = {
      spawn: (argv: readonly string[]) => hosts!.left.spawn(['ip', 'netns', 'exec', host.namespace, ...argv]),
    }
    expect(await receiveBytes(client, peer!, 'tcp', 300_000)).toBe(300_000)

    const packetsSeen = () => Number(/packets:\s+(\d+)/.exec(output('capinfos', '-cM', seen))![1])
    const copies = async () => {
      const { received, dropped } = await running.statistics()
      return received - (dropped.filtered ?? 0)
    }
    await until('the collector has two copies of all', async () => (await copies()) === 2 * packetsSeen())
    await tcpdump.stop()
    expect(await running.stop()).toBe(0)
    const report = running.report()
    expectBalance(report)
    const count = packetsSeen()
    expect(count).toBeGreaterThan(500)
    expect(report).toMatchObject({ delivered: count, dropped: { duplicate: count }, kernelDropped: 0 })
    expect(report).not.toHaveProperty('dedupForgotten')
    expect(packetsIn(out)).toEqual(packetsIn(seen))
  },
  60_000,
)
