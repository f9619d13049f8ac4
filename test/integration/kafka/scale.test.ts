import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { type Collector, startCollector } from '../../support/collector.ts'
import type { TestCluster } from '../../support/kafka/cluster.ts'
import { someCluster } from '../../support/kafka/given-cluster.ts'
import { readTopic } from '../../support/kafka/kcat.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { requires, unmet } from '../../support/requirements.ts'
import { send } from '../../support/sender.ts'
import { fieldsOf, framesOf } from '../../support/tshark.ts'
import { until } from '../../support/waiting.ts'
import { conversationNumber, writeConversations } from './flows.ts'

const it = requires('build', 'kafka', 'kcat', 'tshark', 'scapy')
const folder = mkdtempSync(join(tmpdir(), 'scale-'))
const running: Collector[] = []
const CONVERSATIONS = 100
const PACKETS = 5
const FRAMES = CONVERSATIONS * PACKETS * 2 * 2
/** Ethernet, IPv4, UDP: what is in front of the tunnel in the capture. */
const OUTER_BYTES = 14 + 20 + 8
const LIMIT_MS = 120_000

let broker: TestCluster
let datagrams: Buffer[] = []
beforeAll(async () => {
  if (unmet('kafka', 'scapy', 'tshark').length > 0) return
  broker = await someCluster()
  const capture = join(folder, 'conversations.pcap')
  writeConversations(capture, CONVERSATIONS, PACKETS)
  datagrams = framesOf(capture).map(({ bytes }) => Buffer.from(bytes.slice(2 * OUTER_BYTES), 'hex'))
}, LIMIT_MS)
afterEach(async () => {
  for (const collector of running.splice(0)) await collector.dispose()
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await broker?.dispose()
})

async function start(listen: string, out: string): Promise<Collector> {
  const collector = await startCollector(['--listen', listen, '--out', out])
  running.push(collector)
  return collector
}

async function topicOfSix(): Promise<{ topic: string; address: string }> {
  const topic = freshTopic()
  await broker.createTopic(topic, 6)
  return { topic, address: `kafka:${broker.address}/${topic}` }
}

/** Members of one group, each with a file; resolves when the six partitions are shared out among them. */
async function group(address: string, files: readonly string[]): Promise<Collector[]> {
  const members: Collector[] = []
  for (const file of files) members.push(await start(`${address}?group=readers`, `pcap:${file}`))
  await until('each has two partitions', () => members.every((member) => partitionsOf(member).length === 2), 40_000)
  return members
}

/** As it said last. */
function partitionsOf(member: Collector): string[] {
  const line = member.log.map(({ msg }) => String(msg)).findLast((text) => text.startsWith('Reading partitions'))
  return (/^Reading partitions (\d[\d, ]*) of/.exec(line ?? '')?.[1] ?? '').split(', ').filter((part) => part !== '')
}

async function received(collectors: readonly Collector[]): Promise<number> {
  const reports = await Promise.all(collectors.map((collector) => collector.statistics()))
  return reports.reduce((sum, report) => sum + report.received, 0)
}

function numbersIn(file: string): number[] {
  return framesOf(file).map(({ bytes }) => conversationNumber(bytes))
}

function everyNumber(): number[] {
  return Array.from({ length: FRAMES }, (_, i) => i)
}

it(
  'two collectors, six partitions, three readers: each frame once, both directions of a flow at one reader',
  async () => {
    const { address } = await topicOfSix()
    const files = ['a', 'b', 'c'].map((name) => join(folder, `even-${name}.pcap`))
    const members = await group(address, files)
    const collectors = [
      await start('vxlan://127.0.0.1:0', `${address}?key=flow`),
      await start('vxlan://127.0.0.1:0', `${address}?key=flow`),
    ]
    // The one collector gets what goes there, the other what comes back.
    await send(
      datagrams.filter((_, i) => (i >> 1) % 2 === 0),
      collectors[0]!.ports[0]!,
    )
    await send(
      datagrams.filter((_, i) => (i >> 1) % 2 === 1),
      collectors[1]!.ports[0]!,
    )
    await until('all has been read', async () => (await received(members)) === FRAMES, 40_000)
    for (const member of members) expect(await member.stop()).toBe(0)
    const numbers = files.map(numbersIn)
    expect(numbers.flat().sort((a, b) => a - b)).toEqual(everyNumber())
    const readers = new Map<string, Set<number>>()
    files.forEach((file, reader) => {
      const ids = fieldsOf(file, ['communityid'], '--enable-protocol', 'communityid')
      numbers[reader]!.forEach((number, i) => {
        // Frames of the two VNIs take turns.
        const flow = `${number % 2} ${ids[i]![0]}`
        readers.set(flow, (readers.get(flow) ?? new Set()).add(reader))
      })
    })
    expect(readers.size).toBe(CONVERSATIONS * 2)
    expect([...readers.values()].filter((set) => set.size !== 1)).toEqual([])
    expect(numbers.filter((list) => list.length > 0)).toHaveLength(3)
  },
  LIMIT_MS,
)

it(
  'a reader is killed: its partitions move to the others, and no frame is missing',
  async () => {
    const { topic, address } = await topicOfSix()
    const files = ['a', 'b', 'c'].map((name) => join(folder, `killed-${name}.pcap`))
    const members = await group(address, files)
    const collector = await start('vxlan://127.0.0.1:0', `${address}?key=flow`)
    await send(datagrams.slice(0, FRAMES / 2), collector.ports[0]!)
    await until('the first half has been read', async () => (await received(members)) === FRAMES / 2, 40_000)
    const [victim, ...others] = members
    const orphans = partitionsOf(victim!)
    await victim!.stop('SIGKILL')
    await send(datagrams.slice(FRAMES / 2), collector.ports[0]!)
    await until('the second half is in the topic', () => readTopic(broker.address, topic).length === FRAMES)
    await until(
      'its partitions are others’',
      () => orphans.every((orphan) => others.some((other) => partitionsOf(other).includes(orphan))),
      40_000,
    )
    const union = () => new Set(files.flatMap(numbersIn))
    await until('every frame has been read', () => union().size === FRAMES, 40_000)
    for (const member of others) expect(await member.stop()).toBe(0)
  },
  LIMIT_MS,
)
