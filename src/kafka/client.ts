import { createRequire } from 'node:module'
import { type Consumer, type EachBatchPayload, Kafka, type KafkaConfig, type KafkaMessage, logLevel } from 'kafkajs'
import type { KafkaAccess } from './access.ts'

// The parts of kafkajs that its public door does not lead to; the exact version is pinned. Its producer would encode
// each record by itself (see record-batch.ts) and tells of a request's partitions only the first that failed.
const require = createRequire(import.meta.url)
const Cluster = require('kafkajs/src/cluster') as new (options: Record<string, unknown>) => InternalCluster
const RequestQueue = require('kafkajs/src/network/requestQueue') as { prototype: InternalRequestQueue }
const { createLogger } = require('kafkajs/src/loggers') as { createLogger(options: object): unknown }

interface InternalRequestQueue {
  readonly pending: readonly unknown[]
  readonly throttledUntil: number
  scheduleCheckPendingRequests(): void
  maybeThrottle(milliseconds: number): void
  push(request: { entry: InternalEntry; expectResponse: boolean; requestTimeout: number; sendRequest(): void }): void
}

interface InternalEntry {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  readonly correlationId: number
  resolve(response: { payload: Buffer }): void
  reject(error: Error): void
}

interface InternalConnection {
  readonly clientId: string
  readonly requestQueue: InternalRequestQueue
  readonly socket: { cork(): void; uncork(): void; write(bytes: Uint8Array): boolean }
  isAuthenticated(): boolean
  authenticate(): Promise<void>
  isConnected(): boolean
  nextCorrelationId(): number
}

interface InternalBroker {
  readonly connectionPool: { readonly sasl?: object; getConnection(index: number): Promise<InternalConnection> }
  disconnect(): Promise<void>
  initProducerId(options: { transactionTimeout: number }): Promise<{ producerId: string; producerEpoch: number }>
  describeConfigs(options: object): Promise<{ resources: { configEntries: { configValue: string }[] }[] }>
}

interface InternalCluster {
  readonly targetTopics: Set<string>
  readonly brokerPool: { readonly metadata: { readonly topicMetadata: readonly TopicMetadata[] } | null }
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  getNodeIds(): string[]
  findBroker(options: { nodeId: number }): Promise<InternalBroker>
}

interface TopicMetadata {
  readonly topic: string
  readonly partitionMetadata: readonly { readonly partitionId: number; readonly leader: number }[]
}

/** A connected client counts as idle, and wakes up a thousand times a second: with nothing pending there is nothing to check. */
const schedule = RequestQueue.prototype.scheduleCheckPendingRequests
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: InternalRequestQueue): void {
  if (this.pending.length > 0) schedule.call(this)
}

const CLIENT_ID = 'mirror-collector'
const CONNECTION_TIMEOUT_MS = 5000
const REQUEST_TIMEOUT_MS = 30_000
/** What kafkajs tries again by itself; the rest is the caller's, who knows what it costs. */
const RETRY = { retries: 2, initialRetryTime: 200, maxRetryTime: 1000 }
const PRODUCE = 0
/** The first version that every broker from 2.1 on speaks, and Kafka 4 still does. */
const PRODUCE_VERSION = 7
const TOPIC_RESOURCE = 2

function kafkaConfig(access: KafkaAccess): KafkaConfig {
  const { tls, sasl } = access
  return {
    brokers: [...access.brokers],
    clientId: CLIENT_ID,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    authenticationTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: RETRY,
    ...(tls && { ssl: { ...tls } }),
    ...(sasl && { sasl: { ...sasl } as NonNullable<KafkaConfig['sasl']> }),
    // Its log has a line for every try; what is worth saying, its callers say.
    logLevel: logLevel.NOTHING,
    logCreator: () => () => {},
  }
}

/** kafkajs's own, under names that no other file has to import it for. */
export type TopicConsumer = Consumer
export type FetchedRecords = EachBatchPayload
export type TopicRecord = KafkaMessage

/** A member of a consumer group. A pause of 10 s in its heartbeats, and its partitions are others'. */
export function createConsumer(access: KafkaAccess, groupId: string): TopicConsumer {
  return new Kafka(kafkaConfig(access)).consumer({
    groupId,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: 250,
    sessionTimeout: 10_000,
    heartbeatInterval: 2000,
    rebalanceTimeout: 20_000,
    retry: { ...RETRY, restartOnFailure: async () => true },
  })
}

/** One partition's part of a produce request. */
export interface ProducePart {
  readonly topic: string
  readonly partition: number
  readonly batch: Buffer
}

/** What the broker says to a part: a protocol error code, 0 = taken. */
export interface ProduceResult {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
}

/** A connection to a cluster, for producing. Every method may reject with what went wrong on the way; see describe.ts. */
export class KafkaCluster {
  readonly #cluster: InternalCluster

  constructor(access: KafkaAccess) {
    const { ssl, sasl, ...config } = kafkaConfig(access)
    this.#cluster = new Cluster({
      ...config,
      ssl,
      sasl,
      enforceRequestTimeout: true,
      socketFactory: (require('kafkajs/src/network/socketFactory') as () => unknown)(),
      logger: createLogger({ level: logLevel.NOTHING, logCreator: () => () => {} }),
      metadataMaxAge: Number.POSITIVE_INFINITY,
      allowAutoTopicCreation: true,
      maxInFlightRequests: null,
    })
  }

  async connect(): Promise<void> {
    await this.#cluster.connect()
  }

  async disconnect(): Promise<void> {
    await this.#cluster.disconnect()
  }

  /** Asks the cluster where its partitions are now. */
  async refresh(): Promise<void> {
    await this.#cluster.refreshMetadata()
  }

  /** The broker that leads each partition of a topic, by partition number; -1 where there is none now. */
  async leaders(topic: string): Promise<readonly number[]> {
    await this.#cluster.addTargetTopic(topic)
    return this.knownLeaders(topic)
  }

  /** As of the last refresh; empty where the topic was not asked for. */
  knownLeaders(topic: string): readonly number[] {
    const found = this.#cluster.brokerPool.metadata?.topicMetadata.find((metadata) => metadata.topic === topic)
    const leaders = new Array<number>(found?.partitionMetadata.length ?? 0).fill(-1)
    for (const { partitionId, leader } of found?.partitionMetadata ?? []) leaders[partitionId] = leader
    return leaders
  }

  /** The topic is no more, or may not be written: stops asking for it, as one such topic spoils the answer for all. */
  forget(topic: string): void {
    this.#cluster.targetTopics.delete(topic)
  }

  async producerIdentity(): Promise<{ id: bigint; epoch: number }> {
    const broker = await this.#anyBroker()
    const { producerId, producerEpoch } = await broker.initProducerId({ transactionTimeout: REQUEST_TIMEOUT_MS })
    return { id: BigInt(producerId), epoch: producerEpoch }
  }

  /** The largest batch that the topic takes, bytes. */
  async largestBatch(topic: string): Promise<number> {
    const broker = await this.#anyBroker()
    const { resources } = await broker.describeConfigs({
      resources: [{ type: TOPIC_RESOURCE, name: topic, configNames: ['max.message.bytes'] }],
    })
    const bytes = Number(resources[0]?.configEntries[0]?.configValue)
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : Number.POSITIVE_INFINITY
  }

  /** Sends parts to the broker that leads them. `acks`: -1 all, 1 the leader, 0 none, and then the result is empty. */
  async produce(node: number, acks: number, parts: readonly ProducePart[]): Promise<readonly ProduceResult[]> {
    const broker = await this.#cluster.findBroker({ nodeId: node })
    const connection = await broker.connectionPool.getConnection(0)
    if (broker.connectionPool.sasl !== undefined && !connection.isAuthenticated()) await connection.authenticate()
    try {
      const payload = await sendProduce(connection, acks, parts)
      return payload === undefined ? [] : readProduceResponse(connection, payload)
    } catch (error) {
      // What this connection still brings would answer a request that has been given up.
      await broker.disconnect().catch(() => {})
      throw error
    }
  }

  async #anyBroker(): Promise<InternalBroker> {
    let failure: unknown = new Error('The cluster has no broker.')
    for (const nodeId of this.#cluster.getNodeIds()) {
      try {
        return await this.#cluster.findBroker({ nodeId: Number(nodeId) })
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }
}

/** Writes the request as it is, batches uncopied; undefined when no answer comes (acks = 0). */
function sendProduce(
  connection: InternalConnection,
  acks: number,
  parts: readonly ProducePart[],
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const correlationId = connection.nextCorrelationId()
    const pieces = produceRequest(connection.clientId, correlationId, acks, parts)
    connection.requestQueue.push({
      entry: {
        apiKey: PRODUCE,
        apiName: 'Produce',
        apiVersion: PRODUCE_VERSION,
        correlationId,
        resolve: ({ payload }) => resolve(acks === 0 ? undefined : payload),
        reject,
      },
      expectResponse: acks !== 0,
      requestTimeout: REQUEST_TIMEOUT_MS,
      sendRequest: () => {
        if (!connection.isConnected()) throw new Error('not connected')
        connection.socket.cork()
        for (const piece of pieces) connection.socket.write(piece)
        connection.socket.uncork()
      },
    })
  })
}

/** Produce request, version 7: transactional_id acks timeout [topic [partition records]]. */
function produceRequest(
  clientId: string,
  correlationId: number,
  acks: number,
  parts: readonly ProducePart[],
): readonly Buffer[] {
  const pieces: Buffer[] = []
  const byTopic = new Map<string, ProducePart[]>()
  for (const part of parts) byTopic.set(part.topic, [...(byTopic.get(part.topic) ?? []), part])
  const head = Buffer.alloc(4 + 2 + 2 + 4 + 2 + clientId.length + 2 + 2 + 4 + 4)
  let at = head.writeInt16BE(PRODUCE, 4)
  at = head.writeInt16BE(PRODUCE_VERSION, at)
  at = head.writeInt32BE(correlationId, at)
  at = head.writeInt16BE(clientId.length, at)
  at += head.write(clientId, at, 'latin1')
  at = head.writeInt16BE(-1, at)
  at = head.writeInt16BE(acks, at)
  at = head.writeInt32BE(REQUEST_TIMEOUT_MS, at)
  head.writeInt32BE(byTopic.size, at)
  pieces.push(head)
  for (const [topic, ofTopic] of byTopic) {
    const name = Buffer.alloc(2 + topic.length + 4)
    name.writeInt16BE(topic.length)
    name.write(topic, 2, 'latin1')
    name.writeInt32BE(ofTopic.length, 2 + topic.length)
    pieces.push(name)
    for (const { partition, batch } of ofTopic) {
      const own = Buffer.alloc(8)
      own.writeInt32BE(partition)
      own.writeInt32BE(batch.length, 4)
      pieces.push(own, batch)
    }
  }
  head.writeInt32BE(pieces.reduce((sum, piece) => sum + piece.length, 0) - 4)
  return pieces
}

/** Produce response, version 7: [topic [partition error base_offset append_time start_offset]] throttle_time. */
function readProduceResponse(connection: InternalConnection, payload: Buffer): readonly ProduceResult[] {
  const results: ProduceResult[] = []
  let at = 4
  for (let topics = payload.readInt32BE(0); topics > 0; topics--) {
    const length = payload.readInt16BE(at)
    const topic = payload.toString('latin1', at + 2, at + 2 + length)
    at += 2 + length + 4
    for (let partitions = payload.readInt32BE(at - 4); partitions > 0; partitions--) {
      results.push({ topic, partition: payload.readInt32BE(at), errorCode: payload.readInt16BE(at + 4) })
      at += 4 + 2 + 8 + 8 + 8
    }
  }
  connection.requestQueue.maybeThrottle(payload.readInt32BE(at))
  return results
}
