import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import { joinedNamespaces, type Namespace, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { until } from '../support/waiting.ts'
import { startTcpdump } from './mirrored-host.ts'
import { sender, sentPackets, tunnelDevice } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'build')

const SILENCE_MS = 30_000

let folder = ''
let pairs: NamespacePair[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'silence-'))
})
afterEach(() => {
  for (const pair of pairs) pair.dispose()
  pairs = []
  rmSync(folder, { recursive: true, force: true })
})

/** What a network manager or a DHCP client would do to a device; and the kernel's own MLD, neighbour and router solicitations. */
function meddle(source: Namespace, device: string): void {
  source.exec(['ip', 'link', 'set', device, 'addrgenmode', 'eui64', 'arp', 'on', 'multicast', 'on', 'down'])
  source.exec(['ip', 'link', 'set', device, 'up'])
  source.exec(['ip', 'address', 'add', '10.55.0.1/24', 'dev', device])
  expect(() => source.exec(['ping', '-q', '-c', '2', '-W', '1', '10.55.0.2'])).toThrow()
}

/** What tcpdump tells of the packets inside the tunnel, a line each. */
function innerLines(file: string): string[] {
  const lines = execFileSync('tcpdump', ['-nr', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return lines.split('\n').filter((line) => line !== '' && !line.includes('VXLAN'))
}

/** The tunnel's packets at the collector's host: in 30 silent seconds none, and then one ping that is mirrored. */
async function listen(underlay: 'ipv4' | 'ipv6', isMeddledWith: boolean): Promise<(string | undefined)[]> {
  const pair = joinedNamespaces()
  pairs.push(pair)
  const { left: source, right } = pair
  sender(source, 'up', '--interface', source.device, '--collector', right[underlay], '--vni', '100', '--filter', 'icmp')
  const device = tunnelDevice(source)
  const file = join(folder, `${source.name}.pcap`)
  const tcpdump = await startTcpdump(right, right.device, file, ['udp', 'port', '4789'])
  if (isMeddledWith) meddle(source, device)
  await setTimeout(SILENCE_MS)
  expect(sentPackets(source, device)).toBe(0)
  source.exec(['ping', '-q', '-c', '1', right.ipv4])
  // The copy of the answer is on its way still, and SIGINT ends tcpdump before what it has not read.
  await until('both copies are in the file', () => innerLines(file).length >= 2)
  await tcpdump.stop()
  return innerLines(file).map((line) => /ICMP echo (request|reply)/.exec(line)?.[0])
}

it('in 30 s of silence the tunnel sends nothing of its own, whatever the host finds to say on the device', async () => {
  const heard = await Promise.all([
    listen('ipv4', false),
    listen('ipv6', false),
    listen('ipv4', true),
    listen('ipv6', true),
  ])
  for (const each of heard) expect(each).toEqual(['ICMP echo request', 'ICMP echo reply'])
}, 90_000)
