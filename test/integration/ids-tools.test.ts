import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces, type Namespace, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { framesOf, output, packetsIn } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { addPeer, mirror, type Peer, receiveBytes, SENT_BY_TESTS, startTcpdump } from './mirrored-host.ts'

let folder = ''
let hosts: NamespacePair | undefined
let peer: Peer | undefined
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ids-tools-'))
})
afterEach(async () => {
  await collector?.dispose()
  peer?.dispose()
  hosts?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

interface Tool {
  /** What it printed so far. */
  printed(): string
  /** Interrupts it and waits for its end. */
  stop(): Promise<void>
}

/** A tool on the collector host, once it says that it listens. */
async function startTool(host: Namespace, argv: readonly string[], ready: string): Promise<Tool> {
  const child = host.spawn(argv)
  let printed = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
  }
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await until(`${argv[0]} says "${ready}"`, () => printed.includes(ready))
  return {
    printed: () => printed,
    stop: async () => {
      child.kill('SIGINT')
      await exited
    },
  }
}

function bytesOf(file: string): string[] {
  return framesOf(file).map(({ bytes }) => bytes)
}

/** Flows by argus's client: protocol, ends, packets and bytes, without the time of each. */
function flowsIn(file: string): string[] {
  const columns = ['proto', 'saddr', 'sport', 'dir', 'daddr', 'dport', 'spkts', 'dpkts', 'sbytes', 'dbytes']
  const text = execFileSync('racluster', ['-nr', file, '-s', ...columns, '-', 'not', 'man'], { encoding: 'utf8' })
  const lines = text.split('\n').slice(1)
  return lines
    .map((line) => line.trim().replace(/\s+/g, ' '))
    .filter((line) => line !== '')
    .sort()
}

/** ngrep's heading of each packet that has what is looked for. */
function headings(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => /^[TU] \S+ -> /.test(line))
    .sort()
}

async function speak(source: NamespacePair['left'], to: Peer): Promise<void> {
  const ping = (...args: string[]) => source.exec(['ping', '-q', '-i', '0.01', ...args])
  ping('-c', '20', to.ipv4)
  ping('-c', '20', to.ipv6)
  ping('-c', '20', '-s', '1472', to.ipv4)
  expect(await receiveBytes(source, to, 'tcp', 300_000)).toBe(300_000)
  expect(await receiveBytes(source, to, 'udp', 50_000)).toBe(50_000)
}

requires(
  ...(['root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'tshark', 'capinfos', 'build'] as const),
  ...(['argus', 'racluster', 'ngrep'] as const),
)(
  'tcpdump, tshark, argus and ngrep on the TAP see what they see in a capture of the source',
  async () => {
    hosts = joinedNamespaces()
    const { left: source, right: host } = hosts
    peer = addPeer(source, 1500)
    mirror(source, peer.device, host.ipv4)
    const file = (name: string) => join(folder, name)
    const outs = ['tap:ids0', `pcap:${file('collected.pcap')}`]
    const running = await startCollector(
      ['--listen', ':4789', '--vni', '100', '--filter', SENT_BY_TESTS, ...outs.flatMap((out) => ['--out', out])],
      { namespace: host.name },
    )
    collector = running
    const seen = await startTcpdump(source, peer.device, file('source.pcap'), [SENT_BY_TESTS])
    // The TAP brings in a millisecond what came in a millisecond: room for it, and no slot of 256 KiB for each packet.
    const tcpdump = await startTool(
      host,
      ['tcpdump', '-i', 'ids0', '-U', '-B', '16384', '-w', file('tcpdump.pcap')],
      'listening on',
    )
    const tshark = await startTool(
      host,
      ['tshark', '-i', 'ids0', '-F', 'pcap', '-w', file('tshark.pcap')],
      'Capturing on',
    )
    // A report on every flow each second, so that the file tells when all has been seen.
    const argus = await startTool(host, ['argus', '-S', '1', '-i', 'ids0', '-w', file('argus')], 'is up')
    const ngrep = await startTool(host, ['ngrep', '-l', '-q', '-d', 'ids0', 'tttt'], 'match')

    await speak(source, peer)
    const expected = () => packetsIn(file('source.pcap'))
    await until('tcpdump on the TAP has seen as much', () => packetsIn(file('tcpdump.pcap')) === expected())
    await until('so has the collector', async () => (await running.statistics()).delivered === expected())
    await seen.stop()
    await until('tshark has seen as much', () => packetsIn(file('tshark.pcap')) === expected())
    await tcpdump.stop()
    await tshark.stop()

    const frames = bytesOf(file('source.pcap'))
    expect(frames.length).toBeGreaterThan(150)
    const collected = bytesOf(file('collected.pcap'))
    expect([...collected].sort()).toEqual([...frames].sort())
    // The order in which they came to the collector.
    expect(bytesOf(file('tcpdump.pcap'))).toEqual(collected)
    expect(bytesOf(file('tshark.pcap'))).toEqual(collected)

    execFileSync('argus', ['-r', file('source.pcap'), '-w', file('argus-source')], { stdio: 'ignore' })
    const flows = flowsIn(file('argus-source'))
    expect(flows.length).toBeGreaterThan(4)
    await until(
      'argus has the same flows',
      () => JSON.stringify(flowsIn(file('argus'))) === JSON.stringify(flows),
      30_000,
    ).catch(() => {})
    await argus.stop()
    expect(flowsIn(file('argus'))).toEqual(flows)

    const found = headings(output('ngrep', '-q', '-I', file('source.pcap'), 'tttt'))
    expect(found.length).toBeGreaterThan(100)
    await until('ngrep has found as much', () => headings(ngrep.printed()).length >= found.length)
    await ngrep.stop()
    expect(headings(ngrep.printed())).toEqual(found)

    expect(await running.stop()).toBe(0)
    expectBalance(running.report())
    expect(running.report().sinks[0]).toMatchObject({ written: frames.length, dropped: {} })
  },
  90_000,
)
