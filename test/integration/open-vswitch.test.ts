import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, type Peer, receiveBytes, startTcpdump } from './mirrored-host.ts'
import { OpenVswitch } from './open-vswitch.ts'

const it = requires('root', 'namespaces', 'ip', 'ethtool', 'tcpdump', 'tshark', 'ovs-vsctl', 'build')

/** Every tunnel that Open vSwitch's userspace datapath sends a mirror through, over both address families. */
const TUNNELS = (['ipv4', 'ipv6'] as const).flatMap((underlay, i) => [
  { name: `vxlan${i}`, underlay, id: 101 + i, options: ['type=vxlan'] },
  { name: `geneve${i}`, underlay, id: 201 + i, options: ['type=geneve'] },
  { name: `gre${i}`, underlay, id: 301 + i, options: ['type=gre'] },
  {
    name: `erspan2${i}`,
    underlay,
    id: 401 + i,
    options: ['type=erspan', 'options:erspan_ver=1', 'options:erspan_idx=7'],
  },
  {
    name: `erspan3${i}`,
    underlay,
    id: 501 + i,
    options: ['type=erspan', 'options:erspan_ver=2', 'options:erspan_dir=1', 'options:erspan_hwid=4'],
  },
])

/** Not what the stacks say by themselves, such as MLD, which may come when nobody looks any more. */
const TRAFFIC = 'host 10.98.0.2 or host fd98::2'

let folder = ''
let hosts: NamespacePair
let peer: Peer | undefined
let collector: Collector | undefined
let vswitch: OpenVswitch | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ovs-'))
  hosts = joinedNamespaces()
})
afterEach(async () => {
  await collector?.dispose()
  await vswitch?.dispose()
  peer?.dispose()
  hosts.dispose()
  collector = undefined
  rmSync(folder, { recursive: true, force: true })
})

it.each([
  ['udp', []],
  ['ring', ['--interface', 'veth2']],
])(
  'engine %s writes what tcpdump sees at the port that Open vSwitch mirrors, through each tunnel',
  async (engine, more) => {
    for (const host of [hosts.left, hosts.right]) host.exec(['ip', 'link', 'set', host.device, 'mtu', '1600'])
    const { left: source, right } = hosts
    const out = join(folder, 'out')
    mkdirSync(out)
    const listen = [':4789', ':6081', 'gre://'].flatMap((each) => ['--listen', each])
    const args = [...listen, '--engine', engine, ...more, '--filter', TRAFFIC, '--out', `pcap:${out}/{vni}.pcap`]
    const running = await startCollector(args, { namespace: right.name })
    collector = running

    vswitch = await OpenVswitch.start(source, folder)
    vswitch.addUnderlay(right)
    peer = addPeer(source, 1500)
    const port = vswitch.bridge(peer)
    for (const { name, underlay, id, options } of TUNNELS)
      vswitch.mirror(port, name, [...options, `options:key=${id}`, `options:remote_ip=${right[underlay]}`])
    const seen = join(folder, 'seen.pcap')
    const tcpdump = await startTcpdump(source, port, seen, [TRAFFIC])

    const ping = (...args: string[]) => source.exec(['ping', '-q', '-i', '0.02', '-c', '10', ...args])
    ping(peer.ipv4)
    ping(peer.ipv6)
    ping('-s', '1472', peer.ipv4)
    expect(await receiveBytes(source, peer, 'tcp', 100_000)).toBe(100_000)
    const connections = (...inside: string[]) =>
      source.exec([...inside, 'ss', '-Htan', 'state', 'connected', 'exclude', 'time-wait'])
    const enter = ['ip', 'netns', 'exec', peer.name]
    await until('both ends have closed', () => connections() === '' && connections(...enter) === '')
    // Nothing is left on its way that tcpdump will not have seen.
    ping(peer.ipv4)
    await tcpdump.stop()

    const expected = framesOf(seen).map(({ bytes }) => bytes)
    expect(expected.length).toBeGreaterThan(100)
    const all = expected.length * TUNNELS.length
    await until('all have arrived', async () => (await running.statistics()).delivered >= all)
    expect(await running.stop()).toBe(0)
    const report = running.report()
    expectBalance(report)
    expect(report.vnis).toEqual(Object.fromEntries(TUNNELS.map(({ id }) => [id, expected.length])))
    expect(report).toMatchObject({ delivered: all, kernelDropped: 0 })
    for (const { name, id } of TUNNELS) {
      const got = framesOf(join(out, `${id}.pcap`)).map(({ bytes }) => bytes)
      expect({ name, frames: got.sort() }).toEqual({ name, frames: [...expected].sort() })
    }
  },
  120_000,
)
