import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../../support/collector.ts'
import { KafkaBroker } from '../../support/kafka/broker.ts'
import { readTopic } from '../../support/kafka/kcat.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { requires } from '../../support/requirements.ts'
import { numberedDatagrams, numberOf, send } from '../../support/sender.ts'
import { framesOf } from '../../support/tshark.ts'
import { until } from '../../support/waiting.ts'

/** Longer than any time-out of client and broker, the reader's session included. A broker that hangs is given up at its second one, after about as long. */
const OUTAGE_MS = 60_000
const STEP_MS = 1000
/** A collector's, once a step. */
const FRAMES = 200
const LIMIT_MS = 30_000
const OUTAGE_LIMIT_MS = 300_000
const TROUBLE = 'The cluster takes nothing'

/** A collector that writes a topic of its own, with a file beside it, and a reader of that topic. */
interface Line {
  readonly name: string
  readonly broker: KafkaBroker
  readonly topic: string
  readonly collector: Collector
  readonly reader: Collector
  readonly beside: string
  readonly back: string
}

async function startLine(name: string, broker: KafkaBroker, folder: string, settings = ''): Promise<Line> {
  const topic = freshTopic()
  await broker.createTopic(topic)
  const target = `kafka:${broker.address}/${topic}`
  const [beside, back] = [join(folder, `${name}-beside.pcap`), join(folder, `${name}-back.pcap`)]
  const outs = ['--out', `${target}${settings}`, '--out', `pcap:${beside}`]
  const collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', ...outs])
  const reader = await startCollector(['--listen', `${target}?group=${name}`, '--out', `pcap:${back}`])
  return { name, broker, topic, collector, reader, beside, back }
}

/** The offset that the line's group has committed. */
async function placeOf({ name, broker, topic }: Line): Promise<number> {
  const [found] = await broker.admin((admin) => admin.fetchOffsets({ groupId: name, topics: [topic] }))
  return Number(found!.partitions[0]!.offset)
}

function said(collector: Collector, text: string): number {
  return collector.log.filter(({ msg }) => String(msg).includes(text)).length
}

function numbersIn(file: string): number[] {
  return framesOf(file).map(({ bytes }) => numberOf(bytes))
}

/**
 * After the outage: nothing is missing anywhere, nothing came twice but to a reader, and each trouble was said once. A broker that
 * hung throws silent readers out of their group: they begin again where their place was kept, and what they had read since comes twice.
 */
async function expectWhole({ broker, topic, collector, reader, beside, back }: Line, sent: number): Promise<void> {
  const all = Array.from({ length: sent }, (_, i) => i)
  const written = async () => (await collector.statistics()).sinks[0]!.written
  await until('the cluster has all frames', async () => (await written()) === sent, LIMIT_MS)
  const readBack = () => [...new Set(numbersIn(back))]
  await until('all have been read back', () => readBack().length === sent, LIMIT_MS)
  for (const each of [collector, reader]) {
    expect(await each.stop()).toBe(0)
    expectBalance(each.report())
  }
  expect(collector.report().sinks.map(({ dropped }) => dropped)).toEqual([{}, {}])
  expect(readTopic(broker.address, topic).map(({ value }) => numberOf(value))).toEqual(all)
  expect(numbersIn(beside)).toEqual(all)
  expect(readBack()).toEqual(all)
  expect([said(collector, TROUBLE), said(collector, 'The cluster takes frames again.')]).toEqual([1, 1])
}

/** Frames before, during and after the outage; returns how many each collector got. */
async function feedThrough(lines: readonly Line[], gone: KafkaBroker, hanging: KafkaBroker): Promise<number> {
  let sent = 0
  const feed = async () => {
    const datagrams = numberedDatagrams(FRAMES, { first: sent })
    await Promise.all(lines.map(({ collector }) => send(datagrams, collector.ports[0]!)))
    sent += FRAMES
  }
  await feed()
  // What was read and is not kept yet would be read again, which a reader may.
  for (const line of lines) await until('its place is kept', async () => (await placeOf(line)) === sent, LIMIT_MS)
  const end = performance.now() + OUTAGE_MS
  await gone.stop()
  process.kill(hanging.pid, 'SIGSTOP')
  const isOver = () => performance.now() > end && lines.every(({ collector }) => said(collector, TROUBLE) > 0)
  await until(
    'a minute has passed, and each has said its trouble',
    async () => {
      await feed()
      await setTimeout(STEP_MS)
      return isOver()
    },
    2 * OUTAGE_MS,
  )
  process.kill(hanging.pid, 'SIGCONT')
  await gone.run()
  await feed()
  return sent
}

// A file of its own: a test beside it that waits for a program, as runCommand does, would stop this one's clock.
requires(
  'build',
  'own-kafka',
  'kcat',
  'tshark',
)(
  'a broker is gone for a minute, another hangs as long: frames wait, in memory or in a spool, then arrive once and in order, and at readers at least once',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'outage-'))
    const brokers = await Promise.all([KafkaBroker.start(), KafkaBroker.start()])
    const lines: Line[] = []
    try {
      const [gone, hanging] = brokers
      lines.push(await startLine('gone', gone, folder))
      lines.push(await startLine('hanging', hanging, folder))
      lines.push(await startLine('hanging-spool', hanging, folder, `?spool=${join(folder, 'spool')}`))
      const sent = await feedThrough(lines, gone, hanging)
      await Promise.all(lines.map((line) => expectWhole(line, sent)))
    } finally {
      for (const { collector, reader } of lines) for (const each of [collector, reader]) await each.dispose()
      for (const broker of brokers) await broker.dispose()
      rmSync(folder, { recursive: true, force: true })
    }
  },
  OUTAGE_LIMIT_MS,
)
