import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type Namespace, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { framesOf, packetsIn } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, mirror, type Peer, receiveBytes, SENT_BY_TESTS, startTcpdump } from './mirrored-host.ts'

const NEEDS = ['root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'tshark', 'capinfos', 'build'] as const
const it = requires(...NEEDS)

/** libpcap then keeps 2 KB for each packet instead of 64: its buffer holds a burst. */
const SLOTS = ['-s', '2000', SENT_BY_TESTS]

let folder = ''
let hosts: NamespacePair | undefined
let peer: Peer | undefined
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segments-'))
})
afterEach(async () => {
  await collector?.dispose()
  peer?.dispose()
  hosts?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

function offload(host: Namespace, device: string, ...settings: string[]): void {
  host.exec(['ethtool', '-K', device, ...settings])
}

/** A source whose TCP leaves in frames of up to 64 KiB, which its interface divides behind the mirror. */
function makeSource(): { source: Namespace; host: Namespace; to: Peer } {
  hosts = joinedNamespaces()
  const { left: source, right: host } = hosts
  // Room for the tunnel's headers; and the tunnel leaves such frames as long as they are.
  for (const side of [source, host]) side.exec(['ip', 'link', 'set', side.device, 'mtu', '1600'])
  offload(source, source.device, 'tx', 'on', 'sg', 'on', 'tso', 'on', 'gso', 'on')
  peer = addPeer(source, 1500)
  mirror(source, peer.device, host.ipv4)
  offload(source, peer.device, 'sg', 'on', 'gso', 'on', 'tso', 'off')
  return { source, host, to: peer }
}

function bytesOf(file: string): string[] {
  return framesOf(file).map(({ bytes }) => bytes)
}

it.each([
  ['tap:ids0', 'ids0', () => {}],
  [
    'interface:out',
    'far',
    (host: Namespace) => {
      host.exec(['ip', 'link', 'add', 'out', 'type', 'veth', 'peer', 'name', 'far'])
      for (const end of ['out', 'far']) host.exec(['ip', 'link', 'set', end, 'addrgenmode', 'none', 'up'])
    },
  ],
] as const)(
  '%s: frames of segmentation offload come out as the kernel of the source has divided them',
  async (out, device, prepare) => {
    const { source, host, to } = makeSource()
    prepare(host)
    const file = (name: string) => join(folder, name)
    const outs = ['--out', out, '--out', `pcap:${file('whole.pcap')}`]
    const running = await startCollector(['--listen', ':4789', '--fix-checksums', '--filter', SENT_BY_TESTS, ...outs], {
      namespace: host.name,
    })
    collector = running
    const wire = await startTcpdump(source, to.device, file('wire.pcap'), SLOTS)
    const seen = await startTcpdump(host, device, file('seen.pcap'), SLOTS)

    expect(await receiveBytes(source, to, 'tcp', 3_000_000)).toBe(3_000_000)
    expect(await receiveBytes(source, { ...to, ipv4: to.ipv6 }, 'tcp', 3_000_000)).toBe(3_000_000)
    await until('the sink has sent what was on the wire, and it was seen', async () => {
      const { written, segmented = 0, segments = 0 } = (await running.statistics()).sinks[0]!
      const sent = written - segmented + segments
      return sent === packetsIn(file('wire.pcap')) && sent === packetsIn(file('seen.pcap'))
    })
    await wire.stop()
    await seen.stop()
    expect(await running.stop()).toBe(0)

    const report = running.report()
    expectBalance(report)
    const [sink, whole] = report.sinks
    expect(sink).toMatchObject({ written: report.delivered, dropped: {} })
    expect(whole).toMatchObject({ written: report.delivered, dropped: {} })
    expect(sink!.segmented).toBeGreaterThan(50)
    expect(sink!.segments! / sink!.segmented!).toBeGreaterThan(10)
    const onWire = bytesOf(file('wire.pcap'))
    const came = bytesOf(file('seen.pcap'))
    expect(sink!.written - sink!.segmented! + sink!.segments!).toBe(onWire.length)
    expect(sink!.bytes).toBe(onWire.reduce((sum, hex) => sum + hex.length / 2, 0))
    expect(came.sort()).toEqual(onWire.sort())
  },
  60_000,
)
