import type { Logger } from 'pino'
import type { FailureMessage } from '../config/terms/failure.ts'
import { sinkType } from '../sinks/registry.ts'
import type { SinkType, SinkWish } from '../sinks/sink.ts'
import { sourceType } from '../sources/registry.ts'
import type { NamedCounters } from '../telemetry/report.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../wire/link-type.ts'
import type { PipelineOptions, SinkChoice, SinkPlan } from './plan.ts'
import { RunningSink } from './running-sink.ts'
import type { Slab } from './slab.ts'
import type { WorkerMemory } from './worker-memory.ts'

export interface SinkSetContext {
  readonly log: Logger
  readonly announced: Promise<void>
  readonly options: PipelineOptions
  readonly slab: Slab
  readonly memories: readonly WorkerMemory[]
  /** The program is to end. */
  stop(): void
  fail(failure: FailureMessage): void
}

/** The sinks of a run, the quarantine among them: opens them, joins them with workers, closes them. */
export class SinkSet {
  readonly #context: SinkSetContext
  #sinks: RunningSink[] = []
  #quarantine: RunningSink | undefined
  #isHurried = false

  constructor(context: SinkSetContext) {
    this.#context = context
  }

  /** Opens the first ones, one after the other. Throws Failure, and what was opened is to be abandoned then. */
  async open(wishes: readonly SinkWish[], quarantine: SinkWish | undefined): Promise<void> {
    for (const wish of wishes) this.#sinks.push(await this.#open(wish))
    if (quarantine !== undefined) this.#quarantine = await this.#open(quarantine)
  }

  /** Joins all sinks with a worker that has not begun. Throws Failure. */
  attach(worker: number): { sinks: SinkPlan[]; quarantine: SinkPlan | undefined } {
    return {
      sinks: this.#sinks.map((sink) => this.#planOf(sink, worker)),
      quarantine: this.#quarantine && this.#planOf(this.#quarantine, worker),
    }
  }

  /** The worker has died. */
  detach(worker: number): void {
    for (const sink of this.#all) sink.detach(worker, this.#context.memories[worker]!)
  }

  /** What each selects from now on, in their order. */
  select(wishes: readonly SinkWish[]): (SinkChoice & { readonly id: number })[] {
    return this.#sinks.map((sink, i) => {
      const { wanted, filter } = wishes[i]!
      sink.choice = { wanted, filter }
      return { id: sink.id, wanted, filter }
    })
  }

  hurry(): void {
    this.#isHurried = true
    for (const sink of this.#all) sink.open.hurry()
  }

  reopen(): void {
    for (const sink of this.#all) sink.open.reopen()
  }

  /** No worker has begun: what was made for the sinks is taken away again. */
  async abandon(): Promise<void> {
    for (const sink of this.#all) await sink.open.abandon()
  }

  /** All workers have ended: resolves when all sinks have written what they had. */
  async close(): Promise<void> {
    for (const sink of this.#all) await sink.open.close()
  }

  accounts(): { sinks: NamedCounters[]; quarantine: NamedCounters | undefined } {
    const named = ({ name, account }: RunningSink) => ({ name, counters: account.total })
    return { sinks: this.#sinks.map(named), quarantine: this.#quarantine && named(this.#quarantine) }
  }

  get #all(): readonly RunningSink[] {
    return this.#quarantine === undefined ? this.#sinks : [...this.#sinks, this.#quarantine]
  }

  async #open(wish: SinkWish): Promise<RunningSink> {
    const { log, announced, options, slab, memories, stop, fail } = this.#context
    const sink = new RunningSink(wish, slab)
    await sink.start(memories.length, {
      log,
      announced,
      live: sourceType(options.source.engine).canWait !== true,
      rawIp: options.ipFrames === 'raw',
      stop: (reason) => {
        log.warn({ sink: wish.name }, reason)
        // Whoever watches one sink and leaves must not end what the others collect.
        if (this.#sinks.length === 1 && this.#sinks[0] === sink) stop()
      },
      fail,
    })
    if (this.#isHurried) sink.open.hurry()
    return sink
  }

  #planOf(sink: RunningSink, worker: number): SinkPlan {
    const { options, memories } = this.#context
    return { ...sink.attach(worker, memories[worker]!), linkType: onlyLinkType(sinkType(sink.wish.type), options) }
  }
}

/** Whether one of the sinks writes who sent each frame. */
export function askForPeers(wishes: readonly SinkWish[]): boolean {
  return wishes.some((wish) => sinkType(wish.type).needsPeers?.(wish.options) === true)
}

/** Bytes of the slab that a sink needs for each worker. */
export function laneBytes(wish: SinkWish): number {
  return sinkType(wish.type).slabBytes(wish.common.queue)
}

/** What a sink's frames must be where not all are Ethernet. */
function onlyLinkType(type: SinkType<unknown>, options: PipelineOptions): number | undefined {
  if (options.ipFrames === 'ethernet' || type.takesRawIp === 'beside-ethernet') return undefined
  return type.takesRawIp === 'alone' ? LINKTYPE_RAW : LINKTYPE_ETHERNET
}
