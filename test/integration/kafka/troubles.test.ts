import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../../support/collector.ts'
import { runCommand } from '../../support/command.ts'
import { KafkaBroker } from '../../support/kafka/broker.ts'
import { readTopic } from '../../support/kafka/kcat.ts'
import { freshTopic } from '../../support/kafka/topic.ts'
import { requires, unmet } from '../../support/requirements.ts'
import { numberedDatagrams, numberOf, send } from '../../support/sender.ts'
import { until } from '../../support/waiting.ts'

const it = requires('build', 'own-kafka', 'kcat')
const folder = mkdtempSync(join(tmpdir(), 'troubles-'))
const running: Collector[] = []
const LIMIT_MS = 120_000

let broker: KafkaBroker
beforeAll(async () => {
  if (unmet('own-kafka').length === 0) broker = await KafkaBroker.start()
}, LIMIT_MS)
afterEach(async () => {
  for (const collector of running.splice(0)) await collector.dispose()
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await broker?.dispose()
})

async function start(out: string, ...more: string[]): Promise<Collector> {
  const collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', out, ...more])
  running.push(collector)
  return collector
}

async function freshTarget(partitions = 1, config = {}): Promise<{ topic: string; target: string }> {
  const topic = freshTopic()
  await broker.createTopic(topic, partitions, config)
  return { topic, target: `kafka:${broker.address}/${topic}` }
}

/** Sends numbered frames [first, first + count) and waits until the collector has them. */
async function feed(collector: Collector, first: number, count: number, bytes = 60): Promise<void> {
  const before = (await collector.statistics()).received
  for (let sent = 0; sent < count; sent += 500) {
    const some = Math.min(500, count - sent)
    await send(numberedDatagrams(some, { first: first + sent, bytes }), collector.ports[0]!)
    await until('the frames have arrived', async () => (await collector.statistics()).received === before + sent + some)
  }
}

async function written(collector: Collector): Promise<number> {
  return (await collector.statistics()).sinks[0]!.written
}

/** Numbers of the frames in a topic, in the partitions' order. */
function numbersIn(topic: string): number[] {
  return readTopic(broker.address, topic).map(({ value }) => numberOf(value))
}

function sequence(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

function messages(collector: Collector): string[] {
  return collector.log.map(({ msg }) => String(msg))
}

it(
  'the broker is killed and comes back: frames wait, then arrive once and in order',
  async () => {
    const { topic, target } = await freshTarget()
    const collector = await start(target)
    await feed(collector, 0, 1000)
    await until('they are written', async () => (await written(collector)) === 1000)
    await broker.kill()
    await feed(collector, 1000, 2000)
    await until('the trouble is said', () => messages(collector).some((text) => text.includes('takes nothing')))
    await broker.run()
    await until('the rest is written', async () => (await written(collector)) === 3000, 30_000)
    expect(await collector.stop()).toBe(0)
    expectBalance(collector.report())
    expect(collector.report().sinks[0]).toMatchObject({ written: 3000, dropped: {} })
    expect(numbersIn(topic)).toEqual(sequence(3000))
    expect(messages(collector).filter((text) => text.includes('takes nothing'))).toHaveLength(1)
    expect(messages(collector)).toContain('The cluster takes frames again.')
  },
  LIMIT_MS,
)

it(
  'without a spool the newest frames are lost once memory is full, and counted',
  async () => {
    const { topic, target } = await freshTarget()
    const file = join(folder, 'beside.pcap')
    const collector = await start(`${target}?queue=1MiB&batch=128KiB`, '--out', `pcap:${file}`)
    await feed(collector, 0, 500)
    await until('they are written', async () => (await written(collector)) === 500)
    await broker.kill()
    await feed(collector, 500, 20_000, 1400)
    await broker.run()
    const lost = async () => (await collector.statistics()).sinks[0]!.dropped['sink-overflow'] ?? 0
    expect(await lost()).toBeGreaterThan(0)
    await until('the rest is written', async () => (await written(collector)) + (await lost()) === 20_500, 30_000)
    expect(await collector.stop()).toBe(0)
    const report = collector.report()
    expectBalance(report)
    expect(report.sinks[1]).toMatchObject({ written: 20_500, dropped: {} })
    const numbers = numbersIn(topic)
    expect(numbers).toHaveLength(report.sinks[0]!.written)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
  },
  LIMIT_MS,
)

it(
  'a program that ends while the broker is away says what it could not send',
  async () => {
    const { target } = await freshTarget()
    const collector = await start(target)
    await feed(collector, 0, 100)
    await until('they are written', async () => (await written(collector)) === 100)
    await broker.kill()
    await feed(collector, 100, 50)
    expect(await collector.stop()).toBe(0)
    await broker.run()
    expectBalance(collector.report())
    expect(collector.report().sinks[0]).toMatchObject({ written: 100, dropped: { 'sink-error': 50 } })
  },
  LIMIT_MS,
)

it(
  'a spool keeps frames over the death of broker and collector, in order',
  async () => {
    const { topic, target } = await freshTarget()
    const spool = join(folder, 'spool-killed')
    const out = `${target}?spool=${spool}`
    const first = await start(out)
    await feed(first, 0, 1000)
    await until('they are written', async () => (await written(first)) === 1000)
    await broker.kill()
    await feed(first, 1000, 3000)
    // What lingers and what is in the queue is not on disk yet: the last frames are, once nothing more is put there.
    await until('the trouble is said', () => messages(first).some((text) => text.includes(`go to ${spool}`)))
    await until('the spool has all', () => spooledFrames(spool) === 3000)
    await first.stop('SIGKILL')

    await broker.run()
    const second = await start(out)
    await feed(second, 4000, 500)
    await until('all is written', () => numbersIn(topic).length >= 4500, 30_000)
    expect(await second.stop()).toBe(0)
    expectBalance(second.report())
    expect(second.report().sinks[0]).toMatchObject({ written: 500, dropped: {} })
    expect(messages(second)).toContain('3000 frames of earlier runs were delivered.')
    expect(numbersIn(topic)).toEqual(sequence(4500))
    expect(readdirSync(spool).filter((name) => name.endsWith('.batches'))).toEqual([])
  },
  LIMIT_MS,
)

it(
  'a program that ends leaves in the spool what the broker did not take; the next one sends it',
  async () => {
    const { topic, target } = await freshTarget()
    const out = `${target}?spool=${join(folder, 'spool-ended')}`
    const first = await start(out)
    await feed(first, 0, 100)
    await until('they are written', async () => (await written(first)) === 100)
    await broker.kill()
    await feed(first, 100, 400)
    expect(await first.stop()).toBe(0)
    expectBalance(first.report())
    expect(first.report().sinks[0]).toMatchObject({ written: 100, dropped: { spooled: 400 } })
    await broker.run()
    const second = await start(out)
    await until('the rest is there', () => numbersIn(topic).length >= 500, 30_000)
    expect(await second.stop()).toBe(0)
    expect(numbersIn(topic)).toEqual(sequence(500))
  },
  LIMIT_MS,
)

it(
  'a spool that is full loses the newest frames, counted',
  async () => {
    const { topic, target } = await freshTarget()
    const collector = await start(
      `${target}?spool=${join(folder, 'spool-full')}&spool-size=1MiB&queue=1MiB&batch=128KiB`,
    )
    await feed(collector, 0, 100)
    await until('they are written', async () => (await written(collector)) === 100)
    await broker.kill()
    await feed(collector, 100, 6000, 1400)
    await until(
      'frames are lost',
      async () => ((await collector.statistics()).sinks[0]!.dropped['sink-overflow'] ?? 0) > 0,
    )
    await broker.run()
    await until(
      'the rest is written',
      async () => {
        const { written: frames, dropped } = (await collector.statistics()).sinks[0]!
        return frames + (dropped['sink-overflow'] ?? 0) === 6100
      },
      30_000,
    )
    expect(await collector.stop()).toBe(0)
    expectBalance(collector.report())
    const numbers = numbersIn(topic)
    expect(numbers).toHaveLength(collector.report().sinks[0]!.written)
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
  },
  LIMIT_MS,
)

it(
  'a topic that is not there ends the start; one that goes away is counted, and taken up again',
  async () => {
    const missing = runCommand(['--out', `kafka:${broker.address}/no-such-topic`, '--duration', '1s'])
    expect(missing.exitCode).toBe(69)
    expect(missing.lines[0]).toContain(`Kafka at ${broker.address} has no topic no-such-topic`)
    expect(missing.lines[1]).toContain('--create --topic no-such-topic')
    const { topic, target } = await freshTarget()
    const collector = await start(target)
    await feed(collector, 0, 100)
    await until('they are written', async () => (await written(collector)) === 100)
    await broker.admin((admin) => admin.deleteTopics({ topics: [topic] }))
    await feed(collector, 100, 100)
    await until(
      'they are counted',
      async () => (await collector.statistics()).sinks[0]!.dropped['sink-error'] === 100,
      30_000,
    )
    expect(messages(collector).filter((text) => text.startsWith(`No topic ${topic}`))).toHaveLength(1)
    await broker.createTopic(topic)
    await until(
      'frames are written again',
      async () => {
        await feed(collector, 300, 1)
        return (await written(collector)) > 100
      },
      30_000,
    )
    expect(await collector.stop()).toBe(0)
    expectBalance(collector.report())
  },
  LIMIT_MS,
)

it(
  'frames that are more than the topic takes have their own reason; batches are made to fit',
  async () => {
    const { topic, target } = await freshTarget(1, { 'max.message.bytes': '2000' })
    const collector = await start(target)
    await feed(collector, 0, 200)
    await feed(collector, 200, 5, 3000)
    await feed(collector, 205, 200)
    await until('all have come to an end', async () => {
      const { written: frames, dropped } = (await collector.statistics()).sinks[0]!
      return frames === 400 && dropped['frame-size'] === 5
    })
    // The limit sinks while we run: the broker refuses batches, which are halved until they fit.
    await broker.admin((admin) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [{ type: 2, name: topic, configEntries: [{ name: 'max.message.bytes', value: '700' }] }],
      }),
    )
    await feed(collector, 405, 300)
    await until('all are written', async () => (await written(collector)) === 700)
    expect(await collector.stop()).toBe(0)
    expectBalance(collector.report())
    expect(numbersIn(topic)).toEqual(sequence(705).filter((number) => number < 200 || number >= 205))
  },
  LIMIT_MS,
)

it.each([
  ['a name that nothing answers to', '127.0.0.1:1', 'cannot be reached'],
  ['a name that does not exist', 'no-such-host.invalid:9092', 'cannot be reached'],
])('%s: exit 69, in one line what and one how to mend it', (_, address, what) => {
  const { exitCode, lines } = runCommand(['--out', `kafka:${address}/mirror`, '--duration', '1s'])
  expect([exitCode, lines.length]).toEqual([69, 2])
  expect(lines[0]).toContain(`Kafka at ${address} ${what}`)
})

/** Frames in the spool's files, read by their layout: length, checksum, partition, frames. */
function spooledFrames(spool: string): number {
  let frames = 0
  for (const name of readdirSync(spool).filter((file) => file.endsWith('.batches'))) {
    const bytes = readFileSync(join(spool, name))
    for (let at = 0; at + 16 <= bytes.length; at += bytes.readUInt32LE(at)) frames += bytes.readUInt32LE(at + 12)
  }
  return frames
}
