import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, comparable, type Peer, receiveBytes, SENT_BY_TESTS, startTcpdump } from './mirrored-host.ts'
import { listings, sender } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'tshark', 'editcap', 'mergecap', 'build')

/** Ways of tcpdump's -Q that make up a direction. */
const DIRECTIONS = { both: ['in', 'out'], ingress: ['in'], egress: ['out'] } as const
const FILTERS = [undefined, 'tcp port 7000', 'icmp or ip6'] as const
const SNAP_LENGTHS = [undefined, 96] as const

interface Combination {
  readonly vni: number
  readonly direction: keyof typeof DIRECTIONS
  readonly filter: (typeof FILTERS)[number]
  readonly snaplen: (typeof SNAP_LENGTHS)[number]
}

const COMBINATIONS: readonly Combination[] = (['both', 'ingress', 'egress'] as const)
  .flatMap((direction) => FILTERS.flatMap((filter) => SNAP_LENGTHS.map((snaplen) => ({ direction, filter, snaplen }))))
  .map((combination, i) => ({ vni: 100 + i, ...combination }))

let folder = ''
let hosts: NamespacePair
let peer: Peer | undefined
let collector: Collector | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'combinations-'))
  hosts = joinedNamespaces()
})
afterEach(async () => {
  await collector?.dispose()
  peer?.dispose()
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const seen = (way: string) => join(folder, `seen-${way}.pcap`)
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '').length

/** How many frames tcpdump has seen that a combination asks for. */
function countSeen({ direction, filter }: Combination): number {
  const counts = DIRECTIONS[direction].map((way) =>
    linesOf(output('tcpdump', '-nqtr', seen(way), ...(filter === undefined ? [] : [filter]))),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

/** What tcpdump has seen, chosen by tcpdump's own filter and cut by editcap. */
function framesSeen({ vni, direction, filter, snaplen }: Combination): string[] {
  const parts = DIRECTIONS[direction].map((way) => {
    const part = join(folder, `part-${vni}-${way}.pcap`)
    output('tcpdump', '-r', seen(way), '-w', part, ...(filter === undefined ? [] : [filter]))
    return part
  })
  const all = join(folder, `all-${vni}.pcap`)
  output('mergecap', '-F', 'pcap', '-w', all, ...parts)
  if (snaplen === undefined) return bytesOf(all).sort()
  const cut = join(folder, `cut-${vni}.pcap`)
  output('editcap', '-F', 'pcap', '-s', String(snaplen), all, cut)
  return comparable(bytesOf(cut))
}

const bytesOf = (file: string) => framesOf(file).map(({ bytes }) => bytes)

async function talk(source: NamespacePair['left'], to: Peer): Promise<void> {
  const ping = (...args: string[]) => source.exec(['ping', '-q', '-i', '0.01', '-c', '20', ...args])
  ping(to.ipv4)
  ping(to.ipv6)
  ping('-s', '1300', to.ipv4)
  expect(await receiveBytes(source, to, 'tcp', 100_000)).toBe(100_000)
  expect(await receiveBytes(source, to, 'udp', 30_000)).toBe(30_000)
}

it.each(['ipv4', 'ipv6'] as const)(
  'over %s, every direction, filter and snap length at once: of each the collector has what tcpdump has seen, byte for byte',
  async (underlay) => {
    const source = hosts.left
    // Over IPv6 a vxlan device drops what does not fit the underlay; over IPv4 the kernel fragments it.
    peer = addPeer(source, underlay === 'ipv6' ? 1400 : 1500)
    // TCP would hand over many segments as one frame, to be divided behind tc.
    source.exec(['ip', 'link', 'set', peer.device, 'gso_max_segs', '1'])
    const before = listings(source)
    const interfaceAndCollector = ['--interface', peer.device, '--collector', hosts.right[underlay]]
    for (const { vni, direction, filter, snaplen } of COMBINATIONS) {
      const which = filter === undefined ? [] : ['--filter', filter]
      const cut = snaplen === undefined ? [] : ['--snaplen', String(snaplen)]
      const where = [...interfaceAndCollector, '--vni', String(vni), '--direction', direction]
      sender(source, 'up', ...where, ...which, ...cut)
    }

    const out = `pcap:${join(folder, 'vni-{vni}.pcap')}`
    const running = await startCollector(['--filter', SENT_BY_TESTS, '--out', out], { namespace: hosts.right.name })
    collector = running
    const dumps = []
    for (const way of ['in', 'out']) {
      dumps.push(await startTcpdump(source, peer.device, seen(way), ['-Q', way, SENT_BY_TESTS]))
    }
    await talk(source, peer)
    const wanted = () => COMBINATIONS.map(countSeen).reduce((sum, count) => sum + count, 0)
    await until('both have seen the same', async () => (await running.statistics()).delivered === wanted())
    for (const dump of dumps) await dump.stop()
    expect(await running.stop()).toBe(0)
    expectBalance(running.report())
    for (const combination of COMBINATIONS) {
      const collected = bytesOf(join(folder, `vni-${combination.vni}.pcap`))
      expect(collected.length).toBeGreaterThan(20)
      const frames = combination.snaplen === undefined ? collected.sort() : comparable(collected)
      expect({ ...combination, frames }).toEqual({ ...combination, frames: framesSeen(combination) })
    }

    sender(source, 'down', '--all')
    expect(listings(source)).toBe(before)
  },
  120_000,
)
