import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, type Peer, startTcpdump } from './mirrored-host.ts'
import { listings, sender, sentPackets, tunnelDevice } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'tshark', 'capinfos', 'build')

let folder = ''
let hosts: NamespacePair
let peer: Peer | undefined
let collector: Collector | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sender-way-'))
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

it('copies no copy where the way to the collector leads through a bridge that has the mirrored interface', async () => {
  const { left: source, right } = hosts
  for (const [side, host] of [
    [source, 1],
    [right, 2],
  ] as const) {
    const ip = (...args: string[]) => side.exec(['ip', ...args])
    ip('link', 'add', 'bridge', 'type', 'bridge')
    ip('link', 'set', 'bridge', 'addrgenmode', 'none')
    ip('link', 'set', side.device, 'master', 'bridge')
    ip('link', 'set', 'bridge', 'up')
    ip('address', 'add', `10.66.0.${host}/24`, 'dev', 'bridge')
  }
  source.exec(['ping', '-q', '-c', '1', '10.66.0.2'])
  sender(source, 'up', '--interface', source.device, '--collector', '10.66.0.2', '--vni', '100')
  collector = await startCollector(['--vni', '100', '--out', 'null'], { namespace: right.name })
  const running = collector
  const before = sentPackets(source, tunnelDevice(source))
  source.exec(['ping', '-q', '-i', '0.01', '-c', '20', '-s', '1400', '10.66.0.2'])
  await until('the copies are there', async () => (await running.statistics()).delivered >= 40)
  const copies = sentPackets(source, tunnelDevice(source)) - before
  // Two for each echo; ARP, and what IPv6 has to say, may come in between. A loop would be thousands.
  expect(copies).toBeGreaterThanOrEqual(40)
  expect(copies).toBeLessThan(60)
})

const FRAMES = 100_000
const FRAMES_A_SECOND = 20_000
/** Offered a tenth faster, so that what was sent in the end is not less than the rate that is asked for. */
const FRAMES_A_MILLISECOND = 22
/**
 * Numbered datagrams of 30 to 1400 bytes, so many a millisecond by the clock. Who was kept waiting by other programs catches
 * up little by little: a kernel that got a thousand frames at once would drop some on the veth itself.
 */
const TRAFFIC = `
const s=require('dgram').createSocket('udp4');const b=Buffer.alloc(1400,'x');let n=0,left=FRAMES;const start=performance.now();
const done=(e)=>{if(e)throw e;if(--left===0)s.close(()=>console.log(Math.round(performance.now()-start)))};
const tick=()=>{const due=Math.min(FRAMES,(performance.now()-start)*PACE,n+200);
for(;n<due;n++){b.writeUInt32BE(n,0);s.send(Buffer.from(b.subarray(0,30+n*7919%1371)),7001,process.argv[1],done)}
if(n<FRAMES)setTimeout(tick,1)};tick()`
  .replaceAll('FRAMES', String(FRAMES))
  .replace('PACE', String(FRAMES_A_MILLISECOND))

it('at 20 000 frames a second of mixed sizes the collector misses none and changes none', async () => {
  const { left: source, right } = hosts
  peer = addPeer(source, 1450)
  const before = listings(source)
  sender(
    source,
    'up',
    '--interface',
    peer.device,
    '--collector',
    right.ipv4,
    '--vni',
    '100',
    '--filter',
    'udp port 7001',
  )
  const out = join(folder, 'collected.pcap')
  const seen = join(folder, 'seen.pcap')
  collector = await startCollector(['--vni', '100', '--out', `pcap:${out}`], { namespace: right.name })
  const tcpdump = await startTcpdump(source, peer.device, seen, ['-B', '65536', 'udp port 7001'])
  const took = Number(source.exec([process.execPath, '-e', TRAFFIC, peer.ipv4]))
  const running = collector
  const packets = (): number => Number(/packets:\s+(\d+)/.exec(output('capinfos', '-cM', seen))![1])
  await until('both have them all', async () => packets() >= FRAMES && (await running.statistics()).delivered >= FRAMES)
  await tcpdump.stop()
  await running.stop()
  expect((FRAMES / took) * 1000).toBeGreaterThanOrEqual(FRAMES_A_SECOND)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: FRAMES, delivered: FRAMES, kernelDropped: 0 })
  // Every byte of every frame, in order, as tcpdump prints them.
  const digest = (file: string): string =>
    createHash('sha256')
      .update(output('tcpdump', '-nqtxx', '-r', file))
      .digest('hex')
  expect(digest(out)).toBe(digest(seen))
  sender(source, 'down', '--interface', peer.device)
  expect(listings(source)).toBe(before)
}, 90_000)
