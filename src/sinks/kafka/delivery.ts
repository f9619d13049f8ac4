import type { KafkaCluster } from '../../kafka/client.ts'
import { describeKafkaError, type KafkaProblem } from '../../kafka/describe.ts'
import { errorName, remedyFor } from '../../kafka/protocol-error.ts'
import { ANONYMOUS, halves, type ProducerIdentity, recordCount, seal } from '../../kafka/record-batch.ts'
import type { ClosedBatch } from './open-batch.ts'

/** Requests that one broker works on at a time; of each partition one batch, which is what keeps its order. */
const REQUESTS_IN_FLIGHT = 5
/** Batches of one request, together. */
const REQUEST_BYTES = 4 << 20
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 3000

export interface DeliverySettings {
  /** As in a produce request: -1 all, 1 the leader, 0 none. */
  readonly acks: number
  readonly idempotent: boolean
}

export interface DeliveryEvents {
  delivered(batch: ClosedBatch): void
  /** The cluster will never take it. */
  refused(batch: ClosedBatch, reason: string, isTooLarge: boolean): void
  /** Something went wrong on the way; it is tried again. Batches of no request in flight are what withdraw() gives. */
  trouble(problem: KafkaProblem): void
  /** The topic is no more: its batches are refused. */
  lost(topic: string, reason: string): void
  /** After trouble: the cluster answers again. */
  answers(): void
}

/** What waits for one partition, in order. */
interface Lane {
  readonly topic: string
  readonly partition: number
  readonly batches: ClosedBatch[]
  inFlight: boolean
  /** Sequence number of the first record in `batches`. Advances when the broker has taken a batch: one sent again has its old one. */
  sequence: number
}

/** Brings record batches to the brokers that lead their partitions: each partition's in order, once, however often it takes. */
export class Delivery {
  /** Bytes that wait or are in flight. */
  pendingBytes = 0
  /** Raised at each batch that came to an end: shows whether anything moves. */
  progress = 0
  readonly #cluster: KafkaCluster
  readonly #settings: DeliverySettings
  readonly #events: DeliveryEvents
  readonly #lanes: Map<string, Lane> = new Map()
  readonly #requests: Map<number, number> = new Map()
  #producer: ProducerIdentity | undefined
  #pauseMs = FIRST_PAUSE_MS
  #isPaused = false
  #isClosed = false

  constructor(cluster: KafkaCluster, settings: DeliverySettings, events: DeliveryEvents) {
    this.#cluster = cluster
    this.#settings = settings
    this.#events = events
    if (!settings.idempotent) this.#producer = ANONYMOUS
  }

  submit(batch: ClosedBatch): void {
    const key = `${batch.topic} ${batch.partition}`
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = { topic: batch.topic, partition: batch.partition, batches: [], inFlight: false, sequence: 0 }
      this.#lanes.set(key, lane)
    }
    lane.batches.push(batch)
    this.pendingBytes += batch.bytes.length
    this.#pump()
  }

  /** Takes back the batches of every partition that has none in flight, or of `all`: what is in flight may arrive all the same. */
  withdraw(all = false): ClosedBatch[] {
    const taken: ClosedBatch[] = []
    for (const lane of this.#lanes.values()) if (all || !lane.inFlight) taken.push(...lane.batches.splice(0))
    for (const batch of taken) this.pendingBytes -= batch.bytes.length
    return taken
  }

  /** Sends nothing any more; answers that still come are counted. */
  close(): void {
    this.#isClosed = true
  }

  #pump(): void {
    if (this.#isPaused || this.#isClosed) return
    if (this.#producer === undefined) return void this.#identify()
    const byNode = new Map<number, Lane[]>()
    let leaderless: KafkaProblem | undefined
    for (const lane of this.#lanes.values()) {
      if (lane.inFlight || lane.batches.length === 0) continue
      const node = this.#cluster.knownLeaders(lane.topic)[lane.partition] ?? -1
      if (node < 0) {
        leaderless = { trouble: 'unreachable', text: `partition ${lane.partition} of ${lane.topic} has no leader` }
        continue
      }
      const lanes = byNode.get(node)
      if (lanes === undefined) byNode.set(node, [lane])
      else lanes.push(lane)
    }
    for (const [node, lanes] of byNode) {
      while (lanes.length > 0 && (this.#requests.get(node) ?? 0) < REQUESTS_IN_FLIGHT)
        void this.#send(node, someOf(lanes))
    }
    if (leaderless !== undefined) this.#retry(leaderless)
  }

  async #send(node: number, lanes: readonly Lane[]): Promise<void> {
    const producer = this.#producer!
    const parts = lanes.map((lane) => {
      const batch = lane.batches[0]!
      lane.inFlight = true
      seal(batch.bytes, producer, producer === ANONYMOUS ? -1 : lane.sequence)
      return { topic: lane.topic, partition: lane.partition, batch: batch.bytes }
    })
    this.#requests.set(node, (this.#requests.get(node) ?? 0) + 1)
    let problem: KafkaProblem | undefined
    try {
      const results = await this.#cluster.produce(node, this.#settings.acks, parts)
      for (const lane of lanes) {
        lane.inFlight = false
        const result = results.find(({ topic, partition }) => topic === lane.topic && partition === lane.partition)
        // Without acknowledgements no answer names the lane.
        problem = this.#settle(lane, result?.errorCode ?? (this.#settings.acks === 0 ? 0 : -1)) ?? problem
      }
    } catch (error) {
      for (const lane of lanes) lane.inFlight = false
      problem = describeKafkaError(error)
    }
    this.#requests.set(node, this.#requests.get(node)! - 1)
    if (problem === undefined) this.#pump()
    else this.#retry(problem)
  }

  /** What the broker's answer to the lane's first batch means; a problem where it has to be sent again. */
  #settle(lane: Lane, errorCode: number): KafkaProblem | undefined {
    const batch = lane.batches[0]
    if (batch === undefined) return undefined
    const text = `${lane.topic}, partition ${lane.partition}: ${errorName(errorCode)}`
    const remedy = remedyFor(errorCode)
    if (remedy === 'retry') return { trouble: 'unreachable', text }
    if (remedy === 'renumber') {
      this.#producer = undefined
      for (const other of this.#lanes.values()) other.sequence = 0
      return undefined
    }
    if (remedy === 'split' && recordCount(batch.bytes) > 1) {
      this.#split(lane, batch)
      return undefined
    }
    lane.batches.shift()
    this.pendingBytes -= batch.bytes.length
    this.progress++
    this.#pauseMs = FIRST_PAUSE_MS
    if (remedy === 'none') {
      lane.sequence = (lane.sequence + recordCount(batch.bytes)) & 0x7fff_ffff
      this.#events.delivered(batch)
    } else this.#events.refused(batch, text, remedy === 'split')
    return undefined
  }

  /** Each record is a frame where there are several in a batch. */
  #split(lane: Lane, batch: ClosedBatch): void {
    const parts = halves(batch.bytes).map((bytes, i): ClosedBatch => {
      const frames = recordCount(bytes)
      const { spoolNumber, ...rest } = batch
      // The spool lets go of the whole when its last part has arrived.
      return { ...rest, bytes, frames, ...(i === 1 && spoolNumber !== undefined && { spoolNumber }) }
    })
    lane.batches.splice(0, 1, ...parts)
    this.pendingBytes += parts[0]!.bytes.length + parts[1]!.bytes.length - batch.bytes.length
  }

  /** Tells of the trouble, and tries again after a pause, by what the cluster says then. */
  #retry(problem: KafkaProblem): void {
    this.#events.trouble(problem)
    if (this.#isPaused || this.#isClosed) return
    this.#isPaused = true
    setTimeout(() => void this.#resume(), this.#pauseMs)
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS)
  }

  async #resume(): Promise<void> {
    try {
      await this.#cluster.refresh()
    } catch (error) {
      const problem = describeKafkaError(error)
      if (problem.trouble === 'no-topic' || problem.trouble === 'forbidden') await this.#dropLostTopics()
      else {
        this.#isPaused = false
        return this.#retry(problem)
      }
    }
    this.#isPaused = false
    this.#events.answers()
    this.#pump()
  }

  /** The cluster refuses to speak of all topics because of one: asks for each. */
  async #dropLostTopics(): Promise<void> {
    const topics = new Set([...this.#lanes.values()].map(({ topic }) => topic))
    for (const topic of topics) this.#cluster.forget(topic)
    for (const topic of topics) {
      try {
        await this.#cluster.leaders(topic)
      } catch (error) {
        const { trouble, text } = describeKafkaError(error)
        if (trouble !== 'unreachable') this.#refuseAll(topic, text)
      }
    }
  }

  #refuseAll(topic: string, reason: string): void {
    this.#events.lost(topic, reason)
    for (const [key, lane] of this.#lanes) {
      if (lane.topic !== topic || lane.inFlight) continue
      this.#lanes.delete(key)
      for (const batch of lane.batches) {
        this.pendingBytes -= batch.bytes.length
        this.progress++
        this.#events.refused(batch, reason, false)
      }
    }
  }

  async #identify(): Promise<void> {
    this.#isPaused = true
    try {
      this.#producer = await this.#cluster.producerIdentity()
      this.#isPaused = false
      this.#pump()
    } catch (error) {
      this.#isPaused = false
      this.#retry(describeKafkaError(error))
    }
  }
}

/** Takes lanes out of the list for one request. */
function someOf(lanes: Lane[]): Lane[] {
  let bytes = 0
  let count = 0
  while (count < lanes.length && (count === 0 || bytes < REQUEST_BYTES))
    bytes += lanes[count++]!.batches[0]!.bytes.length
  return lanes.splice(0, count)
}
