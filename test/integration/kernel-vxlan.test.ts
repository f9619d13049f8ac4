import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { type Frame, framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, mirror, type Peer, receiveBytes, startTcpdump } from './mirrored-host.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'tshark', 'capinfos', 'build')

let folder = ''
let hosts: NamespacePair
let peer: Peer
let collector: Collector | undefined

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kernel-vxlan-'))
})
afterAll(async () => {
  await collector?.dispose()
  peer?.dispose()
  hosts?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** Source host (left) and collector host (right), a vxlan device with VNI 100 between them, and a peer to talk to. */
function mirrorTheSource(underlay: 'ipv4' | 'ipv6'): void {
  hosts = joinedNamespaces()
  const source = hosts.left
  // Over IPv6 a vxlan device drops what does not fit the underlay; over IPv4 the kernel fragments it.
  peer = addPeer(source, underlay === 'ipv6' ? 1400 : 1500)
  mirror(source, peer.device, hosts.right[underlay])
}

function hashes(frames: readonly Frame[]): string[] {
  return frames.map((frame) => createHash('sha256').update(frame.bytes).digest('hex')).sort()
}

it.each(['ipv4', 'ipv6'] as const)(
  'over %s, the collector writes byte for byte what tcpdump sees on the mirrored interface',
  async (underlay) => {
    mirrorTheSource(underlay)
    const out = join(folder, `collected-${underlay}.pcapng`)
    const seen = join(folder, `seen-${underlay}.pcap`)
    collector = await startCollector(['--listen', ':4789', '--vni', '100', '--out', `pcapng:${out}`, '--out', 'null'], {
      namespace: hosts.right.name,
    })
    const tcpdump = await startTcpdump(hosts.left, peer.device, seen)

    const ping = (...args: string[]) => hosts.left.exec(['ping', '-q', '-i', '0.01', ...args])
    ping('-c', '20', peer.ipv4)
    ping('-c', '20', peer.ipv6)
    // 1514 bytes inside, and with the tunnel around it more than the underlay's 1500: the kernel fragments the outer packet.
    if (underlay === 'ipv4') ping('-c', '20', '-s', '1472', peer.ipv4)
    execFileSync('ip', ['netns', 'exec', peer.name, 'ping', '-q', '-c', '20', '-i', '0.01', peer.sourceIpv4])
    expect(await receiveBytes(hosts.left, peer, 'tcp', 300_000)).toBe(300_000)
    expect(await receiveBytes(hosts.left, peer, 'udp', 50_000)).toBe(50_000)

    // The peers' last words, such as TCP's acknowledgement of its end, may come after the tools have ended.
    const running = collector
    const packetsSeen = () => Number(/packets:\s+(\d+)/.exec(output('capinfos', '-cM', seen))![1])
    await until('both have seen the same', async () => (await running.statistics()).delivered === packetsSeen())
    await tcpdump.stop()
    expect(await running.stop()).toBe(0)

    const expected = framesOf(seen)
    const got = framesOf(out)
    expect(expected.length).toBeGreaterThan(150)
    expect(hashes(got)).toEqual(hashes(expected))
    expect(got.every((frame) => frame.captured === frame.wireLength)).toBe(true)
    const report = running.report()
    expectBalance(report)
    expect(report).toMatchObject({ delivered: expected.length, kernelDropped: 0, vnis: { 100: expected.length } })
    await running.dispose()
    peer.dispose()
    hosts.dispose()
  },
  60_000,
)
