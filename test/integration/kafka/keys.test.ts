import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { runCommand } from '../../support/command.ts'
import type { TestCluster } from '../../support/kafka/cluster.ts'
import { someCluster } from '../../support/kafka/given-cluster.ts'
import { readTopic } from '../../support/kafka/kcat.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { requires, unmet } from '../../support/requirements.ts'
import { fieldsOf, framesOf } from '../../support/tshark.ts'
import { conversationNumber, writeConversations } from './flows.ts'

const it = requires('build', 'kafka', 'kcat', 'tshark', 'scapy')
const folder = mkdtempSync(join(tmpdir(), 'keys-'))
const capture = join(folder, 'conversations.pcap')
const PARTITIONS = 6

let broker: TestCluster
beforeAll(async () => {
  if (unmet('kafka', 'scapy').length > 0) return
  broker = await someCluster()
  writeConversations(capture, 40, 2)
}, 120_000)
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await broker?.dispose()
})

async function topicWith(settings: string): Promise<string> {
  const topic = freshTopic()
  await broker.createTopic(topic, PARTITIONS)
  expect(runCommand(['decap', capture, '--out', `kafka:${broker.address}/${topic}?${settings}`]).exitCode).toBe(0)
  return topic
}

/** The partitions that librdkafka's murmur2, which is that of Kafka's Java clients, gives to keys. */
async function partitionsByKcat(keys: readonly string[]): Promise<Map<string, number>> {
  const topic = freshTopic()
  await broker.createTopic(topic, PARTITIONS)
  const input = keys.map((key) => `${key}\tx\n`).join('')
  execFileSync('kcat', ['-P', '-b', broker.address, '-t', topic, '-K', '\t', '-X', 'partitioner=murmur2_random'], {
    input,
  })
  return new Map(
    readTopic(broker.address, topic).map(({ key, partition }) => [Buffer.from(key, 'hex').toString(), partition]),
  )
}

it('key=flow: VNI and the Community ID that tshark computes, in the partition that librdkafka chooses for that key', async () => {
  const direct = join(folder, 'direct.pcap')
  expect(runCommand(['decap', capture, '--out', `pcap:${direct}`]).exitCode).toBe(0)
  const ids = fieldsOf(direct, ['communityid'], '--enable-protocol', 'communityid').map(([id]) => id!)
  const expected = new Map(framesOf(direct).map(({ bytes }, i) => [conversationNumber(bytes), ids[i]!]))
  const records = readTopic(broker.address, await topicWith('key=flow'))
  expect(records).toHaveLength(40 * 2 * 2 * 2)
  const keyOf = (hex: string) => Buffer.from(hex, 'hex').toString()
  for (const { key, value, headers } of records) {
    expect(keyOf(key)).toBe(`${headers.vni}/${expected.get(conversationNumber(value))}`)
  }
  const keys = [...new Set(records.map(({ key }) => keyOf(key)))]
  // Both directions of a conversation have one key, and each of its two tunnels has its own.
  expect(keys).toHaveLength(40 * 2)
  const partitions = await partitionsByKcat(keys)
  expect(new Map(records.map(({ key, partition }) => [keyOf(key), partition]))).toEqual(partitions)
  expect(new Set(partitions.values()).size).toBe(PARTITIONS)
})

it.each(['frame', 'pcapng'])('key=vni, format=%s: a tunnel has one partition', async (format) => {
  const records = readTopic(broker.address, await topicWith(`key=vni&format=${format}`))
  const partitions = new Map(records.map(({ key, partition }) => [Buffer.from(key, 'hex').toString(), partition]))
  expect(partitions).toEqual(await partitionsByKcat(['100', '200']))
  expect(records).toHaveLength(format === 'frame' ? 320 : 2)
})

it('a topic for each VNI', async () => {
  const topic = freshTopic()
  for (const vni of [100, 200]) await broker.createTopic(`${topic}-vxlan-${vni}`)
  const out = `kafka:${broker.address}/${topic}-{encap}-{vni}`
  expect(runCommand(['decap', capture, '--out', out]).exitCode).toBe(0)
  for (const vni of [100, 200]) {
    const records = readTopic(broker.address, `${topic}-vxlan-${vni}`)
    expect(records.map(({ headers }) => headers.vni)).toEqual(new Array(160).fill(String(vni)))
  }
})

it('a topic that the template names and the cluster lacks: its frames are counted, the others arrive', async () => {
  const topic = freshTopic()
  await broker.createTopic(`${topic}-100`)
  const { exitCode, lines } = runCommand(['decap', capture, '--out', `kafka:${broker.address}/${topic}-{vni}`])
  expect(exitCode).toBe(74)
  expect(lines.filter((line) => line.includes(`No topic ${topic}-200, its frames are lost`))).toHaveLength(1)
  expect(lines).toEqual(
    expect.arrayContaining([expect.stringContaining('160 frames written, not written: sink-error 160')]),
  )
})
