import { setTimeout } from 'node:timers/promises'
import type { KafkaCluster } from '../../kafka/client.ts'
import { describeKafkaError } from '../../kafka/describe.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import { OTHER_TUNNELS } from './frame-encoder.ts'
import type { OpenBatch } from './open-batch.ts'

/** Topics that a template may name; the tunnels beyond share one more, `other`. A sender who tries all VNIs makes no more. */
const LARGEST_COUNT = 1000
/** How long a broker that makes topics when they are asked for takes, at most, and how often it is asked whether it has. */
const MAKING_MS = 1500
const MAKING_STEP_MS = 100
/** How long the cluster is not asked again for a topic that it does not have. */
const RETRY_MS = 10_000

/** Whether every frame goes to one topic. */
export function isPlainTopic(template: string): boolean {
  return !template.includes('{')
}

/** In topics and keys. */
export function tunnelName(tunnelId: number): string {
  return tunnelId === OTHER_TUNNELS ? 'other' : String(tunnelId)
}

/** One topic, as far as this sink knows it. */
export interface Topic {
  readonly name: string
  /** 0 while the topic cannot be had. */
  partitions: number
  /** Bytes of its largest batch. */
  batchLimit: number
  readonly open: Map<number, OpenBatch>
  /** The partition that frames without a key of their own go to now. */
  current: number
  /** By performance.now(): when to ask for it again. */
  askAt: number
}

/** The topics that frames go to, by tunnel. */
export class Topics {
  readonly #template: string
  readonly #cluster: KafkaCluster
  readonly #batchLimit: number
  readonly #byName: Map<string, Topic> = new Map()
  readonly #byTunnel: Map<number, Topic> = new Map()
  readonly #onMissing: (topic: string, reason: string) => void
  /** A missing topic was waited for in vain: the cluster makes none by itself. */
  #makesNone = false
  #last: Topic | undefined
  #lastTunnel = Number.NaN

  /** `onMissing`: told once for each topic that cannot be had. */
  constructor(
    template: string,
    cluster: KafkaCluster,
    batchLimit: number,
    onMissing: (topic: string, reason: string) => void,
  ) {
    this.#template = template
    this.#cluster = cluster
    this.#batchLimit = batchLimit
    this.#onMissing = onMissing
  }

  all(): IterableIterator<Topic> {
    return this.#byName.values()
  }

  /** The topic of a tunnel's frames. */
  of(encapsulation: number, tunnelId: number): Topic {
    const tunnel = tunnelId * ENCAPSULATIONS.length + encapsulation
    if (tunnel === this.#lastTunnel) return this.#last!
    let topic = this.#byTunnel.get(tunnel)
    if (topic === undefined) {
      topic = this.named(this.#nameFor(encapsulation, tunnelId))
      if (this.#byTunnel.size >= LARGEST_COUNT) this.#byTunnel.clear()
      this.#byTunnel.set(tunnel, topic)
    }
    this.#last = topic
    this.#lastTunnel = tunnel
    return topic
  }

  named(name: string): Topic {
    const known = this.#byName.get(name)
    if (known !== undefined) return known
    const topic = { name, partitions: 0, batchLimit: this.#batchLimit, open: new Map(), current: 0, askAt: 0 }
    this.#byName.set(name, topic)
    return topic
  }

  /** Asks the cluster for a topic, unless it said no a moment ago. Rejects with what else went wrong. */
  async find(topic: Topic): Promise<void> {
    if (performance.now() < topic.askAt) return
    try {
      topic.partitions = await this.#partitionsOf(topic.name)
    } catch (error) {
      const { trouble, text } = describeKafkaError(error)
      if (trouble === 'unreachable') throw error
      this.lose(topic, text)
      return
    }
    // Whoever may write to a topic may not always read its settings: then the broker tells when a batch is too large.
    const limit = await this.#cluster.largestBatch(topic.name).catch(() => Number.POSITIVE_INFINITY)
    topic.batchLimit = Math.min(this.#batchLimit, limit)
  }

  /** A broker with auto.create.topics.enable says first that it has no such topic, and has it a moment later. */
  async #partitionsOf(name: string): Promise<number> {
    const end = performance.now() + MAKING_MS
    for (;;) {
      try {
        return (await this.#cluster.leaders(name)).length
      } catch (error) {
        if (this.#makesNone || describeKafkaError(error).trouble !== 'no-topic') throw error
        this.#makesNone = performance.now() > end
        await setTimeout(MAKING_STEP_MS)
      }
    }
  }

  /** The topic cannot be had, or is no more. */
  lose(topic: Topic, reason: string): void {
    if (topic.askAt === 0) this.#onMissing(topic.name, reason)
    topic.partitions = 0
    topic.askAt = performance.now() + RETRY_MS
    this.#cluster.forget(topic.name)
  }

  #nameFor(encapsulation: number, tunnelId: number): string {
    const fill = (id: string) =>
      this.#template.replaceAll('{encap}', ENCAPSULATIONS[encapsulation]!.name).replaceAll('{vni}', id)
    const name = fill(tunnelName(tunnelId))
    return this.#byName.has(name) || this.#byName.size < LARGEST_COUNT ? name : fill('other')
  }
}
