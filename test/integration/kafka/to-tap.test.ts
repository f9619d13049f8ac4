import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { recordDevice } from '../../sinks/surroundings.ts'
import { expectBalance, startCollector } from '../../support/collector.ts'
import { runCommand } from '../../support/command.ts'
import { KafkaBroker } from '../../support/kafka/broker.ts'
import { type KcatRecord, readTopic } from '../../support/kafka/kcat.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { OwnNamespace } from '../../support/own-namespace.ts'
import { requires, unmet } from '../../support/requirements.ts'
import { framesOf } from '../../support/tshark.ts'
import { conversationNumber, writeConversations } from './flows.ts'

const NEEDS = ['build', 'root', 'namespaces', 'ip', 'own-kafka', 'kcat', 'tcpdump', 'tshark', 'scapy'] as const
const it = requires(...NEEDS)
const folder = mkdtempSync(join(tmpdir(), 'to-tap-'))
const capture = join(folder, 'conversations.pcap')
/** Ethernet, IPv4, UDP, VXLAN: what is in front of each frame in the capture. */
const OUTER_BYTES = 14 + 20 + 8 + 8
/** More than any frame has. */
const LONGEST = 1000
const CONVERSATIONS = 100
const PACKETS = 5
const LIMIT_MS = 120_000

let namespace: OwnNamespace | undefined
let broker: KafkaBroker
beforeAll(async () => {
  if (unmet(...NEEDS).length > 0) return
  namespace = new OwnNamespace()
  ip('link', 'set', 'lo', 'up')
  broker = await KafkaBroker.start()
  writeConversations(capture, CONVERSATIONS, PACKETS)
}, LIMIT_MS)
afterAll(async () => {
  await broker?.dispose()
  namespace?.leave()
  rmSync(folder, { recursive: true, force: true })
})

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** A device that is there before the collector opens it, so that tcpdump sees the first frame. */
function addTap(name: string): void {
  ip('tuntap', 'add', 'dev', name, 'mode', 'tap')
  ip('link', 'set', name, 'addrgenmode', 'none')
  ip('link', 'set', name, 'up')
}

/** Numbers of the frames in each partition, in its order, as kcat reads the topic and tshark a record of many. */
function numbersByPartition(records: readonly KcatRecord[], format: string): number[][] {
  const partitions: number[][] = [[], [], []]
  for (const { partition, value } of records) {
    if (format === 'frame') partitions[partition]!.push(conversationNumber(value))
    else {
      const file = join(folder, 'record.pcapng')
      writeFileSync(file, Buffer.from(value, 'hex'))
      partitions[partition]!.push(...framesOf(file).map(({ bytes }) => conversationNumber(bytes)))
    }
  }
  return partitions
}

it.each(['frame', 'pcapng'])(
  'frames recorded with format=%s come out of a TAP byte for byte, each partition in order',
  async (format) => {
    const topic = freshTopic()
    await broker.createTopic(topic, 3)
    const target = `kafka:${broker.address}/${topic}`
    const sent = framesOf(capture).map(({ bytes }) => bytes.slice(2 * OUTER_BYTES))
    expect(runCommand(['decap', capture, '--out', `${target}?format=${format}&key=flow`]).exitCode).toBe(0)

    const device = `ids-${format}`
    addTap(device)
    const recording = await recordDevice(device, folder, LONGEST)
    const args = ['--listen', `${target}?group=ids`, '--out', `tap:${device}`, '--count', `${sent.length}`]
    const reader = await startCollector(args)
    try {
      const seen = await recording.frames(sent.length)
      expect(await reader.exit()).toBe(0)
      expectBalance(reader.report())
      expect(reader.report().sinks[0]).toMatchObject({ written: sent.length, dropped: {} })
      expect(seen.toSorted()).toEqual(sent.toSorted())
      const numbers = seen.map(conversationNumber)
      for (const partition of numbersByPartition(readTopic(broker.address, topic), format)) {
        expect(partition.length).toBeGreaterThan(0)
        const members = new Set(partition)
        expect(numbers.filter((number) => members.has(number))).toEqual(partition)
      }
    } finally {
      await reader.dispose()
    }
  },
  LIMIT_MS,
)
