import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { runCommand } from '../../support/command.ts'
import type { TestCluster } from '../../support/kafka/cluster.ts'
import { someCluster } from '../../support/kafka/given-cluster.ts'
import { type KcatRecord, readTopic } from '../../support/kafka/kcat.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { requires, unmet } from '../../support/requirements.ts'
import { fieldsOf, framesOf } from '../../support/tshark.ts'

const GOLDEN = new URL('../../golden/', import.meta.url).pathname
const it = requires('build', 'kafka', 'kcat', 'tshark')
const folder = mkdtempSync(join(tmpdir(), 'kcat-'))

let broker: TestCluster
beforeAll(async () => {
  if (unmet('kafka').length === 0) broker = await someCluster()
}, 120_000)
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await broker?.dispose()
})

/** Takes the tunnels off a golden capture, into a topic of one partition. */
async function decap(capture: string, settings = ''): Promise<KcatRecord[]> {
  const topic = freshTopic()
  await broker.createTopic(topic)
  const out = `kafka:${broker.address}/${topic}${settings}`
  const { exitCode, lines } = runCommand(['decap', join(GOLDEN, capture), '--out', out])
  expect([exitCode, lines]).toEqual([0, expect.arrayContaining([expect.stringContaining(`${out}: `)])])
  return readTopic(broker.address, topic)
}

/** As Apache Metron's readers have it. */
function microseconds(seconds: number, nanoseconds: number): string {
  const key = Buffer.alloc(8)
  key.writeBigUInt64BE(BigInt(seconds) * 1_000_000n + BigInt(Math.floor(nanoseconds / 1000)))
  return key.toString('hex')
}

it.each(['kernel-ipv4', 'kernel-ipv6', 'kernel-vlan'])(
  'kcat reads %s frame by frame: keys, headers and values',
  async (name) => {
    const outer = framesOf(join(GOLDEN, `${name}.pcap`))
    const [address] = fieldsOf(join(GOLDEN, `${name}.pcap`), [
      name === 'kernel-ipv6' ? 'ipv6.src' : 'ip.src',
      'vxlan.vni',
    ])
    const inner = framesOf(join(GOLDEN, `${name}.inner.pcap`))
    const records = await decap(`${name}.pcap`)
    expect(records.map(({ value }) => value)).toEqual(inner.map(({ bytes }) => bytes))
    expect(records.map(({ key }) => key)).toEqual(outer.map((frame) => microseconds(frame.seconds, frame.nanoseconds)))
    expect(records.map(({ timestamp }) => timestamp)).toEqual(
      outer.map(({ seconds, nanoseconds }) => seconds * 1000 + Math.floor(nanoseconds / 1e6)),
    )
    expect(records.map(({ headers }) => headers)).toEqual(
      outer.map(({ seconds, nanoseconds }, i) => ({
        vni: address![1],
        encap: 'vxlan',
        peer: address![0]!.split(',')[0],
        'orig-len': String(inner[i]!.wireLength),
        'ts-ns': `${seconds}${String(nanoseconds).padStart(9, '0')}`,
      })),
    )
  },
)

it.each(['', '&compress=gzip'])(
  'frames that a snap length cut keep their length on the wire (%s)',
  async (settings) => {
    const expected = readFileSync(join(GOLDEN, 'snap-length.expected.tsv'), 'utf8').trimEnd().split('\n').slice(1)
    const records = await decap('snap-length.pcap', `?acks=1${settings}`)
    expect(
      records.map(({ value, headers }) => [
        headers.vni,
        String(value.length / 2),
        headers['orig-len'],
        createHash('sha256').update(Buffer.from(value, 'hex')).digest('hex'),
      ]),
    ).toEqual(expected.map((line) => line.split('\t').slice(1, 5)).filter(([vni]) => vni !== '-'))
  },
)

it('format=pcapng: each record is a capture file that tshark reads, an interface for each tunnel', async () => {
  const capture = 'port-8472'
  const records = await decap(`${capture}.pcap`, '?format=pcapng')
  expect(records).toHaveLength(1)
  const file = join(folder, 'record.pcapng')
  writeFileSync(file, Buffer.from(records[0]!.value, 'hex'))
  const outer = framesOf(join(GOLDEN, `${capture}.pcap`))
  const tunnels = fieldsOf(join(GOLDEN, `${capture}.pcap`), ['vxlan.vni'], '-d', 'udp.port==8472,vxlan')
  const frames = framesOf(file)
  expect(frames.map(({ seconds, nanoseconds }) => [seconds, nanoseconds])).toEqual(
    outer.map(({ seconds, nanoseconds }) => [seconds, nanoseconds]),
  )
  expect(fieldsOf(file, ['frame.interface_name'])).toEqual(tunnels.map(([vni]) => [`vxlan-${vni}`]))
  expect(records[0]!.key).toBe(microseconds(outer[0]!.seconds, outer[0]!.nanoseconds))
  const hashes = readFileSync(join(GOLDEN, `${capture}.expected.tsv`), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
  expect(frames.map(({ bytes }) => createHash('sha256').update(Buffer.from(bytes, 'hex')).digest('hex'))).toEqual(
    hashes.map((line) => line.split('\t')[4]),
  )
})
