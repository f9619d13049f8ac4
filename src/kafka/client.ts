import { createRequire } from 'node:module'
import { type Consumer, type EachBatchPayload, Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import type { KafkaAccess } from './access.ts'
import { type FetchedBatch, fetchedBatches } from './fetched-batch.ts'
import {
  PRODUCE,
  PRODUCE_VERSION,
  type ProducePart,
  type ProduceResult,
  produceRequest,
  readProduceResponse,
} from './produce-request.ts'

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

interface InternalDecoder {
  readInt32(): number
  canReadBytes(bytes: number): boolean
  readBytes(bytes: number): Buffer
}

interface InternalBatch {
  readonly partition: number
  readonly fetchedOffset: string
  readonly messages: readonly FetchedBatch[]
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

/** The library makes some ten objects for a record, 8 us; the batches that it hands on here are decoded by index. */
const decodeMessages = require.resolve('kafkajs/src/protocol/requests/fetch/v4/decodeMessages')
require(decodeMessages)
require.cache[decodeMessages]!.exports = (decoder: InternalDecoder): FetchedBatch[] => {
  const bytes = decoder.readInt32()
  return bytes > 0 && decoder.canReadBytes(bytes) ? fetchedBatches(decoder.readBytes(bytes)) : []
}

const CLIENT_ID = 'mirror-collector'
const CONNECTION_TIMEOUT_MS = 5000
const REQUEST_TIMEOUT_MS = 30_000
/** What kafkajs tries again by itself; the rest is the caller's, who knows what it costs. */
const RETRY = { retries: 2, initialRetryTime: 200, maxRetryTime: 1000 }
/** Of a partition at once: eight batches as the sink makes them. */
const FETCH_BYTES = 4 << 20
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

/** What was fetched of one partition. */
export interface FetchedRecords {
  readonly batch: {
    readonly partition: number
    readonly fetchedOffset: string
    readonly batches: readonly FetchedBatch[]
  }
  /** Records up to this offset have been taken: the next fetch begins behind it. */
  resolveOffset(offset: string): void
  heartbeat(): Promise<void>
}

/** As eachBatch gets it. */
export function fetchedRecords({ batch, resolveOffset, heartbeat }: EachBatchPayload): FetchedRecords {
  const { partition, fetchedOffset, messages } = batch as unknown as InternalBatch
  return { batch: { partition, fetchedOffset, batches: messages }, resolveOffset, heartbeat }
}

/** A member of a consumer group. A pause of 10 s in its heartbeats, and its partitions are others'. */
export function createConsumer(access: KafkaAccess, groupId: string): TopicConsumer {
  return new Kafka(kafkaConfig(access)).consumer({
    groupId,
    allowAutoTopicCreation: false,
    maxWaitTimeInMs: 250,
    maxBytesPerPartition: FETCH_BYTES,
    sessionTimeout: 10_000,
    heartbeatInterval: 2000,
    rebalanceTimeout: 20_000,
    retry: { ...RETRY, restartOnFailure: async () => true },
  })
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
      if (payload === undefined) return []
      const { results, throttleMs } = readProduceResponse(payload)
      connection.requestQueue.maybeThrottle(throttleMs)
      return results
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
    const pieces = produceRequest(connection.clientId, correlationId, acks, REQUEST_TIMEOUT_MS, parts)
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
