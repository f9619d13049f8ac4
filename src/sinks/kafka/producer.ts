import { setTimeout } from 'node:timers/promises'
import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../../config/terms/failure.ts'
import type { RecordConsumer } from '../../frames/record-consumer.ts'
import { KafkaCluster } from '../../kafka/client.ts'
import { describeKafkaError } from '../../kafka/describe.ts'
import { partitionOf } from '../../kafka/murmur2.ts'
import type { Sender, SinkThread } from '../thread/loop.ts'
import type { Lane } from '../thread/wiring.ts'
import { FlowKeys } from './flow-keys.ts'
import { type FrameEncoder, SingleFrames } from './frame-encoder.ts'
import { type FrameKeys, TIME_KEYS, TunnelKeys } from './keys.ts'
import { OpenBatch } from './open-batch.ts'
import type { ProducerOptions } from './options.ts'
import { Outbox } from './outbox.ts'
import { PcapngFrames } from './pcapng-encoder.ts'
import { PcapngSegments } from './pcapng-segments.ts'
import { Spool } from './spool.ts'
import { isPlainTopic, type Topic, Topics } from './topics.ts'

/** A cluster that takes nothing is given up after so long: when the program is to end, and when its input has ended. */
const HURRIED_PATIENCE_MS = 5000
const PATIENCE_MS = 60_000
const ASK_AGAIN_MS = 200
const GOODBYE_MS = 500
/** Lines about topics that cannot be had: a template may name a thousand. */
const TOPIC_LINES = 10

/** Makes records of the frames and brings them to the cluster. */
export class KafkaProducer implements Sender<ProducerOptions> {
  readonly usesEventLoop = true
  /** Frames that no topic could be had for. */
  #homeless = 0
  readonly #thread: SinkThread<ProducerOptions>
  readonly #options: ProducerOptions
  readonly #cluster: KafkaCluster
  readonly #topics: Topics
  readonly #encoder: FrameEncoder
  readonly #keys: FrameKeys
  /** Three numbers each: start, end, series. */
  readonly #segments: number[] = []
  #outbox!: Outbox
  #topicLines = 0
  #left = 0
  #hasGivenUp = false
  #lingering: NodeJS.Timeout | undefined

  constructor(thread: SinkThread<ProducerOptions>) {
    const { slab } = thread
    const { options } = thread.wiring
    this.#thread = thread
    this.#options = options
    this.#cluster = new KafkaCluster(options.access)
    this.#topics = new Topics(options.topic, this.#cluster, options.batchBytes, (topic, reason) => {
      this.#sayTopic(topic, reason)
    })
    this.#encoder = createEncoder(thread)
    this.#keys = createKeys(options, slab)
  }

  get written(): number {
    return this.#outbox.delivered
  }

  get bytes(): number {
    return this.#outbox.bytes
  }

  get failed(): number {
    return this.#homeless + this.#outbox.refused
  }

  get unfit(): number {
    return this.#outbox.tooLarge
  }

  get spooled(): number {
    return this.#left
  }

  async open(): Promise<void> {
    const { spool: wish, acks, idempotent, topic, lingerMs } = this.#options
    const spool = wish && new Spool(wish.folder, wish.limit)
    const log = this.#thread.log.bind(this.#thread)
    this.#outbox = new Outbox(this.#cluster, { acks, idempotent }, spool, {
      trouble: ({ text }) => log('error', `The cluster takes nothing: ${text}; ${this.#fate()}`),
      recovered: () => log('warn', 'The cluster takes frames again.'),
      refused: (frames, reason) => log('error', `${frames} frames were refused for good: ${reason}`),
      lost: (name, reason) => this.#topics.lose(this.#topics.named(name), reason),
    })
    try {
      await this.#cluster.connect()
      if (isPlainTopic(topic)) await this.#findPlainTopic(topic)
    } catch (error) {
      spool?.close()
      await this.#leave()
      throw error instanceof Failure ? error : this.#failure(error)
    }
    if (spool !== undefined && !spool.isEmpty) {
      log('info', `The spool has ${spool.earlierFrames} frames of an earlier run, which go first.`)
    }
    this.#outbox.start()
    this.#lingering = setInterval(() => this.#closeOld(lingerMs), Math.max(1, lingerMs / 2))
  }

  use(lane: Lane<ProducerOptions>): void {
    this.#encoder.use?.(lane)
  }

  leave(lane: Lane<ProducerOptions>): void {
    this.#encoder.leave?.(lane)
  }

  add({ start, end, series }: RecordConsumer): void {
    this.#segments.push(start, end, series)
  }

  async commit(): Promise<void> {
    const segments = this.#segments.splice(0)
    const encoder = this.#encoder
    for (let i = 0; i < segments.length; i += 3) {
      const end = segments[i + 1]!
      for (let at = segments[i]!; at < end; ) {
        encoder.look(at, segments[i + 2]!)
        const topic = this.#topics.of(encoder.encapsulation, encoder.tunnelId)
        if (topic.partitions === 0) await this.#find(topic)
        const runEnd = encoder.runEnd(at, end)
        if (topic.partitions === 0) {
          for (; at < runEnd; at = encoder.recordEnd(at)) this.#homeless++
        } else at = this.#append(topic, at, runEnd)
        if (!this.#outbox.hasRoom) await this.#outbox.room(this.#isOver(Number.POSITIVE_INFINITY))
      }
    }
  }

  tick(): void {}

  reopen(): void {}

  async close(): Promise<void> {
    this.#closeOld(0)
    await this.#outbox.drained(this.#isOver(PATIENCE_MS))
    await this.#end()
  }

  async discard(): Promise<void> {
    await this.#end()
  }

  async #end(): Promise<void> {
    clearInterval(this.#lingering)
    this.#left = this.#outbox.close()
    const { earlierDelivered } = this.#outbox
    if (earlierDelivered > 0) this.#thread.log('info', `${earlierDelivered} frames of earlier runs were delivered.`)
    if (this.#left > 0) this.#thread.log('warn', `${this.#left} frames stay in the spool for the next run.`)
    await this.#leave()
  }

  /** kafkajs waits here for what a silent broker owes, and its timers would keep the thread for half a minute. */
  async #leave(): Promise<void> {
    await Promise.race([this.#cluster.disconnect().catch(() => {}), setTimeout(GOODBYE_MS)])
    // The counters are written, and the last message is sent, before the event loop's next turn.
    setImmediate(() => process.exit())
  }

  /** Puts records into the batch that is open for them, as far as they fit; returns where the first is that does not. */
  #append(topic: Topic, at: number, end: number): number {
    const key = this.#keys.keyOf(at, this.#encoder.tunnelId)
    const partition = key === undefined ? topic.current % topic.partitions : partitionOf(key, topic.partitions)
    let batch = topic.open.get(partition)
    if (batch === undefined) {
      batch = new OpenBatch(topic.name, partition, topic.batchLimit)
      topic.open.set(partition, batch)
    }
    const next = this.#encoder.add(batch, at, end, key)
    if (next === end) return end
    if (batch.frames > 0) {
      this.#close(topic, batch)
      return next
    }
    topic.open.delete(partition)
    this.#encoder.finish(batch)
    this.#outbox.tooLarge++
    return this.#encoder.recordEnd(at)
  }

  #close(topic: Topic, batch: OpenBatch): void {
    topic.open.delete(batch.partition)
    this.#encoder.finish(batch)
    // Frames without a key of their own stay together for a batch, then go to the next partition.
    if (batch.partition === topic.current) topic.current = (topic.current + 1) % Math.max(1, topic.partitions)
    this.#outbox.add({
      topic: topic.name,
      partition: batch.partition,
      bytes: batch.records.finish(this.#options.compress),
      frames: batch.frames,
      isEarlier: false,
    })
  }

  /** Sends the batches whose first frame came `milliseconds` ago or earlier. */
  #closeOld(milliseconds: number): void {
    const limit = performance.now() - milliseconds
    for (const topic of this.#topics.all()) {
      for (const batch of topic.open.values()) if (batch.since <= limit) this.#close(topic, batch)
    }
  }

  /** A new topic: asks for it until the cluster answers, or the program ends. */
  async #find(topic: Topic): Promise<void> {
    const isOver = this.#isOver(Number.POSITIVE_INFINITY)
    while (!isOver()) {
      try {
        return await this.#topics.find(topic)
      } catch {
        await setTimeout(ASK_AGAIN_MS)
      }
    }
  }

  async #findPlainTopic(name: string): Promise<void> {
    const topic = this.#topics.named(name)
    await this.#topics.find(topic)
    if (topic.partitions > 0) return
    const { brokers } = this.#options.access
    const mend = `Make it first: kafka-topics.sh --bootstrap-server ${brokers[0]} --create --topic ${name} --partitions 6`
    throw new Failure(EXIT_UNAVAILABLE, `Kafka at ${brokers} has no topic ${name} that may be written to.`, mend)
  }

  /**
   * True once nothing has moved for so long, or for the shorter time that there is when the program is to end; then at
   * once, for whatever else would wait.
   */
  #isOver(patienceMs: number): () => boolean {
    let { progress } = this.#outbox
    let since = performance.now()
    return () => {
      if (this.#outbox.progress !== progress) {
        progress = this.#outbox.progress
        since = performance.now()
      }
      const patience = this.#thread.isHurried ? HURRIED_PATIENCE_MS : patienceMs
      this.#hasGivenUp ||= performance.now() - since > patience
      return this.#hasGivenUp
    }
  }

  #fate(): string {
    const { spool } = this.#options
    return spool === undefined ? 'frames wait in memory, then are lost' : `frames go to ${spool.folder}`
  }

  #sayTopic(topic: string, reason: string): void {
    this.#topicLines++
    if (this.#topicLines <= TOPIC_LINES) this.#thread.log('error', `No topic ${topic}, its frames are lost: ${reason}`)
    if (this.#topicLines === TOPIC_LINES)
      this.#thread.log('error', 'Further topics that cannot be had are only counted.')
  }

  #failure(error: unknown): Failure {
    const { trouble, text } = describeKafkaError(error)
    const brokers = this.#options.access.brokers.join(',')
    if (trouble === 'credentials') {
      return new Failure(
        EXIT_NO_PERMISSION,
        `Kafka at ${brokers} refuses the credentials: ${text}.`,
        'Look at sasl=, user= and the password.',
      )
    }
    const mend = 'Is the address right, the broker running, TLS on both sides or on none?'
    return new Failure(EXIT_UNAVAILABLE, `Kafka at ${brokers} cannot be reached: ${text}.`, mend)
  }
}

function createKeys({ key }: ProducerOptions, slab: Uint8Array): FrameKeys {
  if (key === 'flow') return new FlowKeys(slab)
  return key === 'vni' ? new TunnelKeys() : TIME_KEYS
}

function createEncoder({ slab, wiring }: SinkThread<ProducerOptions>): FrameEncoder {
  if (wiring.options.format === 'frame') return new SingleFrames(slab)
  return wiring.hasSeries ? new PcapngSegments(slab) : new PcapngFrames(slab)
}
