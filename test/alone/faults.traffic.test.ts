import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it as plain } from 'vitest'
import {
  type Collector,
  type CollectorOptions,
  expectBalance,
  type Report,
  startCollector,
} from '../support/collector.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { randomNumbers } from '../support/random.ts'
import { requires, scapyPython } from '../support/requirements.ts'
import { Flood, numberedDatagrams, numberedFrame, numberOf, send, vxlan } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const LOOPBACK = ['--listen', 'vxlan://127.0.0.1:0']
/** `MC_FAULTS=full` takes the time that the whole of it needs. */
const FULL = process.env.MC_FAULTS === 'full'
const VNIS = 2 ** 24
/** Tunnels that are told apart; those that come later are counted together. */
const BOUND = 4096

let folder = ''
let collector: Collector
let flood: Flood | undefined
let pair: NamespacePair | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'faults-traffic-'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  pair?.dispose()
  pair = undefined
  rmSync(folder, { recursive: true, force: true })
})

async function start(args: readonly string[], options?: CollectorOptions): Promise<number> {
  collector = await startCollector([...args, '--buffer', '64MiB'], options)
  return collector.ports[0]!
}

async function finish(): Promise<Report> {
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report.kernelDropped).toBe(0)
  return report
}

function residentMiB(): number {
  const status = readFileSync(`/proc/${collector.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

plain('the random numbers below are the same for a seed, and spread over all VNIs', () => {
  const [one, other] = [randomNumbers(7), randomNumbers(7)]
  const seen = new Set(Array.from({ length: 100_000 }, () => Math.floor(one() * VNIS)))
  expect(seen.has(Math.floor(other() * VNIS))).toBe(true)
  // Of so many out of 2^24 some 300 meet.
  expect(seen.size).toBeGreaterThan(99_000)
  expect(new Set([...seen].map((vni) => vni >> 16)).size).toBe(256)
})

requires('build', 'linux')(
  'random VNIs: as many as are told apart are, the others are counted together, and memory stays',
  async () => {
    const wanted = FULL ? VNIS : 200_000
    const random = randomNumbers(24)
    flood = new Flood(await start([...LOOPBACK, '--out', 'null']), FULL ? 128 : 64, () => Math.floor(random() * VNIS))
    await until('the tables are full', () => flood!.sent > 12 * BOUND)
    const before = residentMiB()
    await until('all are sent', () => flood!.sent > wanted, 20_000 + wanted / 10)
    const growth = residentMiB() - before
    await flood.stop()
    const { received, delivered, vnis } = await finish()
    expect([received, delivered, sum(vnis)]).toEqual([flood.sent, flood.sent, flood.sent])
    expect(Object.keys(vnis)).toHaveLength(BOUND + 1)
    expect(vnis.other).toBeGreaterThan(0.9 * (flood.sent - 2 * BOUND))
    expect(growth).toBeLessThan(24)
  },
  120_000 + (FULL ? 1_800_000 : 0),
)

/** Arguments: interface, packets, VXLAN datagram. Each packet comes from an address of its own, half of them from 10.0.0.0/8. */
const SPOOF = `
import socket, struct, sys
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
port.bind((sys.argv[1], 0))
payload = bytes.fromhex(sys.argv[3])
link = bytes.fromhex("0200000000020200000000010800")
udp = struct.pack("!HHHH", 50000, 4789, 8 + len(payload), 0) + payload
def checksum(data):
    total = sum(struct.unpack("!10H", data))
    while total > 0xffff: total = (total & 0xffff) + (total >> 16)
    return 0xffff - total
for n in range(int(sys.argv[2])):
    source = (0x0a010000 if n % 2 == 0 else 0x0b010000) + n
    head = lambda check: struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, check, source, 0x0a630002)
    port.send(link + head(checksum(head(0))) + udp)
`

requires(
  'build',
  'root',
  'namespaces',
  'ip',
  'ethtool',
  'scapy',
)(
  '100 000 spoofed senders: each is judged by its own address, and memory stays',
  async () => {
    const PEERS = 100_000
    pair = joinedNamespaces()
    const { left, right } = pair
    for (const name of ['all', right.device]) right.exec(['sysctl', '-qw', `net.ipv4.conf.${name}.rp_filter=0`])
    // An answer to any of them goes nowhere.
    right.exec(['ip', 'route', 'add', 'blackhole', 'default'])
    await start(['--allow-from', '10.0.0.0/8', '--out', 'null'], { namespace: right.name })
    const spoof = (count: number) =>
      left.exec([scapyPython()!, '-c', SPOOF, left.device, `${count}`, vxlan(9, numberedFrame(0)).toString('hex')])
    const arrived = async (count: number) =>
      await until('all arrive', async () => (await collector.statistics()).received === count)
    spoof(PEERS)
    await arrived(PEERS)
    const before = residentMiB()
    spoof(PEERS)
    await arrived(2 * PEERS)
    expect(residentMiB() - before).toBeLessThan(16)
    expect(await finish()).toMatchObject({
      received: 2 * PEERS,
      delivered: PEERS,
      dropped: { 'source-not-allowed': PEERS },
      vnis: { 9: PEERS },
    })
  },
  90_000,
)

requires(
  'build',
  'linux',
  'tcpdump',
)('a flood from a sender that is not allowed costs no wanted frame', async () => {
  const WANTED = 2000
  const file = join(folder, 'wanted.pcap')
  const port = await start([...LOOPBACK, '--allow-from', '127.0.0.2', '--out', `pcap:${file}`])
  flood = new Flood(port, 64)
  await until('the flood arrives', async () => (await collector.statistics()).received > 10_000)
  for (let first = 0; first < WANTED; first += 20) {
    await send(numberedDatagrams(20, { first }), port, '127.0.0.1', '127.0.0.2')
    const { sent } = flood
    await until('the flood goes on', () => flood!.sent > sent)
  }
  await flood.stop()
  const report = await finish()
  expect(report).toMatchObject({
    received: flood.sent + WANTED,
    delivered: WANTED,
    dropped: { 'source-not-allowed': flood.sent },
  })
  expect(numbersRead(file)).toEqual(Array.from({ length: WANTED }, (_, i) => i))
})

requires('build', 'linux', 'tshark').each(['pcap', 'pcapng'])(
  '%s: the longest UDP datagrams there are, among others, come out whole',
  async (kind) => {
    const file = join(folder, `long.${kind}`)
    const port = await start([...LOOPBACK, '--out', `${kind}:${file}`])
    // RFC 768, RFC 791: 65535 less 8 and 20; 8 of VXLAN's.
    const longest = 65_507 - 8
    const lengths = Array.from({ length: 300 }, (_, i) => [longest, 60, longest - 1, 1514, 9000, 65_000][i % 6]!)
    const frames = lengths.map((bytes, i) => numberedFrame(i, bytes))
    await send(
      frames.map((frame) => vxlan(100, frame)),
      port,
    )
    expect(await finish()).toMatchObject({ received: 300, delivered: 300, dropped: {}, sinks: [{ dropped: {} }] })
    const read = framesOf(file)
    expect(read.map(({ wireLength }) => wireLength)).toEqual(lengths)
    expect(read.map(({ bytes }) => numberOf(bytes))).toEqual(lengths.map((_, i) => i))
    // Not by toEqual: a difference of megabytes would take minutes to print.
    expect(read.every(({ bytes }, i) => bytes === frames[i]!.toString('hex'))).toBe(true)
  },
)
