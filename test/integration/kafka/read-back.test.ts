import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../../support/collector.ts'
import { runCommand } from '../../support/command.ts'
import type { TestCluster } from '../../support/kafka/cluster.ts'
import { someCluster } from '../../support/kafka/given-cluster.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { outerCapture } from '../../support/outer-capture.ts'
import { requires, unmet } from '../../support/requirements.ts'
import { numberedDatagrams, numberedFrame, numberOf, send } from '../../support/sender.ts'
import { framesOf } from '../../support/tshark.ts'
import { until } from '../../support/waiting.ts'

const GOLDEN = new URL('../../golden/', import.meta.url).pathname
const it = requires('build', 'kafka', 'tshark')
const itTraced = requires('build', 'kafka', 'tshark', 'root', 'strace')
const folder = mkdtempSync(join(tmpdir(), 'read-back-'))
/** Its pcap sink waits in the call that writes frames, for longer than the test lasts; a kill ends the call before it has begun. */
const WRITES_NOTHING = [
  ...['strace', '-D', '-f', '-q', '--seccomp-bpf', '-o', '/dev/null'],
  ...['-e', 'trace=writev', '-e', 'inject=writev:delay_enter=600s'],
]
/** A reader that does not wait for its sinks has committed what it read many times over. */
const COMMITS_MS = 3000
const running: Collector[] = []

let broker: TestCluster
beforeAll(async () => {
  if (unmet('kafka').length === 0) broker = await someCluster()
}, 120_000)
afterAll(async () => {
  for (const collector of running) await collector.dispose()
  rmSync(folder, { recursive: true, force: true })
  await broker?.dispose()
})

async function start(...args: string[]): Promise<Collector> {
  const collector = await startCollector(args)
  running.push(collector)
  return collector
}

function tracerOf(pid: number): number {
  const tracer = Number(/TracerPid:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
  expect(tracer).toBeGreaterThan(0)
  return tracer
}

async function topicOf(partitions = 1): Promise<string> {
  const topic = freshTopic()
  await broker.createTopic(topic, partitions)
  return `kafka:${broker.address}/${topic}`
}

it.each([
  ['kernel-vlan', 'frame'],
  ['snap-length', 'frame'],
  ['kernel-vlan', 'pcapng'],
  ['snap-length', 'pcapng'],
])('%s through format=%s comes back as if there had been no Kafka', async (capture, format) => {
  const topic = await topicOf()
  const input = join(GOLDEN, `${capture}.pcap`)
  const direct = join(folder, `${capture}-${format}-direct.pcap`)
  const back = join(folder, `${capture}-${format}-back.pcap`)
  const ended = runCommand(['decap', input, '--out', `pcap:${direct}`, '--out', `${topic}?format=${format}`])
  expect(ended.exitCode).toBe(0)
  const expected = framesOf(direct)
  const reader = await start(
    '--listen',
    `${topic}?group=back`,
    '--out',
    `pcap:${back}`,
    '--count',
    `${expected.length}`,
  )
  expect(await reader.exit()).toBe(0)
  expectBalance(reader.report())
  expect(framesOf(back)).toEqual(expected)
})

it('--vni, --allow-from and {vni} know what the frames came in', async () => {
  const topic = await topicOf()
  const ended = runCommand(['decap', join(GOLDEN, 'kernel-ipv4.pcap'), '--out', topic])
  expect(ended.exitCode).toBe(0)
  const path = join(folder, '{encap}-{vni}.pcap')
  const reader = await start(
    '--listen',
    topic,
    '--allow-from',
    '10.99.0.1',
    '--vni',
    '42',
    '--out',
    `pcap:${path}`,
    '--count',
    '5',
  )
  expect(await reader.exit()).toBe(0)
  expect(framesOf(join(folder, 'vxlan-42.pcap'))).toEqual(
    framesOf(join(GOLDEN, 'kernel-ipv4.inner.pcap')).map((frame, i) => {
      const { seconds, nanoseconds } = framesOf(join(GOLDEN, 'kernel-ipv4.pcap'))[i]!
      return { ...frame, seconds, nanoseconds }
    }),
  )
  const other = await start(
    '--listen',
    `${topic}?group=other`,
    '--allow-from',
    '10.98.0.0/16',
    '--out',
    'null',
    '--duration',
    '5s',
  )
  await until('all frames are judged', async () => (await other.statistics()).received === 5)
  await other.stop()
  expect(other.report().dropped).toEqual({ 'source-not-allowed': 5 })
})

itTraced(
  'a reader that is killed loses nothing: what its sinks had not written is read again',
  async () => {
    const topic = await topicOf(3)
    const frames = 10_000
    const sender = await start('--listen', 'vxlan://127.0.0.1:0', '--out', topic)
    const port = sender.ports[0]!
    for (let first = 0; first < frames; first += 1000) {
      await send(numberedDatagrams(1000, { first }), port)
      await until('the frames have arrived', async () => (await sender.statistics()).received >= first + 1000)
    }
    await sender.stop()
    expect(sender.report().sinks[0]).toMatchObject({ written: frames, dropped: {} })

    const files = [join(folder, 'killed.pcap'), join(folder, 'second.pcap')] as const
    const listen = ['--listen', `${topic}?group=survivors`]
    const first = await startCollector([...listen, '--out', `pcap:${files[0]}`], { under: WRITES_NOTHING })
    running.push(first)
    const tracer = tracerOf(first.pid)
    try {
      await until('it has read all', async () => (await first.statistics()).received === frames, 40_000)
      await setTimeout(COMMITS_MS)
    } finally {
      first.kill('SIGKILL')
      // It would hold what it has delayed until the time is over.
      process.kill(tracer, 'SIGKILL')
      await first.exit()
    }
    expect(framesOf(files[0])).toEqual([])
    const second = await start(...listen, '--out', `pcap:${files[1]}`)
    await until('the second has read all', async () => (await second.statistics()).received >= frames, 40_000)
    expect(await second.stop()).toBe(0)
    expectBalance(second.report())
    expect(new Set(framesOf(files[1]).map(({ bytes }) => numberOf(bytes))).size).toBe(frames)
  },
  120_000,
)

it('frames that were written are not read again by the group', async () => {
  const topic = await topicOf()
  runCommand(['decap', join(GOLDEN, 'kernel-ipv4.pcap'), '--out', topic])
  const first = await start('--listen', topic, '--out', 'null', '--count', '5')
  expect(await first.exit()).toBe(0)
  runCommand(['decap', join(GOLDEN, 'kernel-ipv6.pcap'), '--out', topic])
  const second = await start('--listen', topic, '--out', `pcap:${join(folder, 'rest.pcap')}`, '--count', '5')
  expect(await second.exit()).toBe(0)
  expect(framesOf(join(folder, 'rest.pcap')).map(({ bytes }) => bytes)).toEqual(
    framesOf(join(GOLDEN, 'kernel-ipv6.inner.pcap')).map(({ bytes }) => bytes),
  )
})

it('a reader that ends amid a batch of records has kept its place there', async () => {
  const topic = await topicOf()
  const input = join(folder, 'numbered.pcap')
  writeFileSync(input, outerCapture(numberedDatagrams(2000)))
  expect(runCommand(['decap', input, '--out', topic]).exitCode).toBe(0)
  for (const [first, count] of [
    [0, 700],
    [700, 1],
    [701, 1299],
  ] as const) {
    const file = join(folder, `from-${first}.pcap`)
    const reader = await start('--listen', topic, '--out', `pcap:${file}`, '--count', `${count}`)
    expect(await reader.exit()).toBe(0)
    expect(framesOf(file).map(({ bytes }) => numberOf(bytes))).toEqual(
      Array.from({ length: count }, (_, i) => first + i),
    )
  }
}, 60_000)

/** Frames by another client, each with what tells its time. */
const FOREIGN = {
  /** As Apache Metron's tools write it: microseconds since 1970. */
  metron: { key: Buffer.from('00060a24181e4000', 'hex'), value: numberedFrame(0, 100) },
  bare: { value: numberedFrame(1, 60), timestamp: '1700000000123' },
  empty: { value: null, timestamp: '1700000000124' },
  /** RFC 791 and RFC 2460 packets without Ethernet, right behind a frame. */
  ipv4: { value: Buffer.alloc(40, 0x45), timestamp: '1700000000125', headers: { 'link-type': '101' } },
  ipv6: { value: Buffer.alloc(60, 0x60), timestamp: '1700000000126', headers: { 'link-type': '101' } },
}

it('records of other producers: with a key or none, of IP packets, compressed, of transactions', async () => {
  const topic = freshTopic()
  await broker.createTopic(topic)
  const producer = new Kafka({ brokers: broker.address.split(','), logLevel: logLevel.NOTHING }).producer({
    transactionalId: topic,
    maxInFlightRequests: 1,
    idempotent: true,
  })
  await producer.connect()
  const inTransaction = async (numbers: number[], end: 'commit' | 'abort') => {
    const transaction = await producer.transaction()
    const messages = numbers.map((number) => ({ value: numberedFrame(number), timestamp: '1700000001000' }))
    await transaction.send({ topic, messages, compression: CompressionTypes.GZIP })
    await transaction[end]()
  }
  await inTransaction([10, 11], 'commit')
  await inTransaction([20, 21, 22], 'abort')
  await inTransaction([30], 'commit')
  const { metron, bare, empty, ipv4, ipv6 } = FOREIGN
  await producer.send({ topic, messages: [metron, bare, ipv4, ipv6, empty, bare] })
  await inTransaction([40], 'abort')
  await producer.disconnect()

  const file = join(folder, 'foreign.pcap')
  const reader = await start('--listen', `kafka:${broker.address}/${topic}`, '--out', `pcap:${file}`, '--count', '8')
  expect(await reader.exit()).toBe(0)
  expectBalance(reader.report())
  expect(reader.report()).toMatchObject({ received: 9, dropped: { 'short-frame': 1 } })
  const ethernet = (etherType: string, packet: Buffer) => `${'00'.repeat(12)}${etherType}${packet.toString('hex')}`
  expect(framesOf(file).map(({ seconds, nanoseconds, bytes }) => [seconds, nanoseconds, bytes])).toEqual([
    [1_700_000_001, 0, numberedFrame(10).toString('hex')],
    [1_700_000_001, 0, numberedFrame(11).toString('hex')],
    [1_700_000_001, 0, numberedFrame(30).toString('hex')],
    [1_700_000_000, 0, metron.value.toString('hex')],
    [1_700_000_000, 123_000_000, bare.value.toString('hex')],
    [1_700_000_000, 125_000_000, ethernet('0800', ipv4.value)],
    [1_700_000_000, 126_000_000, ethernet('86dd', ipv6.value)],
    [1_700_000_000, 123_000_000, bare.value.toString('hex')],
  ])
}, 60_000)
