import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { fieldsOf, framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, mirror, type Peer, receiveBytes, startTcpdump } from './mirrored-host.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'tshark', 'capinfos', 'build')

let folder = ''
let hosts: NamespacePair | undefined
let peer: Peer | undefined
const collectors: Collector[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checksums-'))
})
afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.dispose()
  peer?.dispose()
  hosts?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** How many frames have a checksum that tshark calls bad: 0 is its "bad", 1 "good". */
function badChecksums(file: string): number {
  const protocols = ['ip', 'tcp', 'udp']
  const verify = protocols.flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`])
  const fields = fieldsOf(
    file,
    [...protocols.map((protocol) => `${protocol}.checksum.status`), 'icmp.checksum.status'],
    ...verify,
  )
  return fields.filter((statuses) => statuses.includes('0')).length
}

it('checksums left to the network card become what the kernel itself makes of them', async () => {
  hosts = joinedNamespaces()
  const source = hosts.left
  peer = addPeer(source, 1400)
  mirror(source, peer.device, hosts.right.ipv4)
  // The mirrored interface completes checksums as it sends, behind the mirror; the tunnel's way leaves them as they are.
  source.exec(['ethtool', '-K', source.device, 'tx', 'on'])
  const seen = join(folder, 'seen.pcap')
  const [plain, fixed] = [join(folder, 'plain.pcap'), join(folder, 'fixed.pcap')]
  const collector = await startCollector(['--listen', ':4789', '--fix-checksums', '--out', `pcap:${fixed}`], {
    namespace: hosts.right.name,
  })
  collectors.push(collector)
  const tunnels = await startTcpdump(hosts.right, hosts.right.device, join(folder, 'tunnels.pcap'))
  const tcpdump = await startTcpdump(source, peer.device, seen)
  expect(await receiveBytes(source, peer, 'tcp', 200_000)).toBe(200_000)
  expect(await receiveBytes(source, peer, 'udp', 50_000)).toBe(50_000)
  source.exec(['ping', '-q', '-i', '0.01', '-c', '10', peer.ipv4])
  source.exec(['ping', '-q', '-i', '0.01', '-c', '10', peer.ipv6])
  const packetsSeen = () => Number(/packets:\s+(\d+)/.exec(output('capinfos', '-cM', seen))![1])
  await until('both have seen the same', async () => (await collector.statistics()).delivered === packetsSeen())
  await tcpdump.stop()
  await tunnels.stop()
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())

  const offline = await runDecap(join(folder, 'tunnels.pcap'), plain)
  expect(offline).toBe(0)
  expect(badChecksums(plain)).toBeGreaterThan(50)
  expect([badChecksums(fixed), badChecksums(seen)]).toEqual([0, 0])
  const bytes = (file: string) =>
    framesOf(file)
      .map((frame) => frame.bytes)
      .sort()
  expect(bytes(fixed)).toEqual(bytes(seen))
  expect(bytes(plain)).not.toEqual(bytes(seen))
}, 60_000)

async function runDecap(file: string, out: string): Promise<number | null> {
  const collector = new Collector(['decap', file, '--listen', ':4789', '--out', `pcap:${out}`])
  collectors.push(collector)
  return await collector.exit()
}
