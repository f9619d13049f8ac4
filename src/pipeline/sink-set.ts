import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import { EXIT_UNAVAILABLE, Failure, type FailureMessage } from '../config/terms/failure.ts'
import { sinkType } from '../sinks/registry.ts'
import type { SinkType, SinkWish } from '../sinks/sink.ts'
import { sourceType } from '../sources/registry.ts'
import { SinkCounters } from '../telemetry/counters.ts'
import type { NamedCounters } from '../telemetry/report.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../wire/link-type.ts'
import type { PipelineOptions, SinkPlan, WorkerChoice, WorkerRefit } from './plan.ts'
import { type JoinedSink, RunningSink } from './running-sink.ts'
import type { Slab } from './slab.ts'
import type { WorkerMemory } from './worker-memory.ts'

/** Sinks that were removed may take so long to be gone, before others come that may want their places or targets. */
const LEAVE_MS = 1000

export interface SinkSetContext {
  readonly log: Logger
  readonly announced: Promise<void>
  readonly options: PipelineOptions
  readonly slab: Slab
  readonly memories: readonly WorkerMemory[]
  /** A worker that has begun is to be told. */
  refit(worker: number, refit: WorkerRefit): void
  /** The program is to end. */
  stop(): void
  fail(failure: FailureMessage): void
}

/** From the sinks there are to those there will be. */
export interface SinkChange {
  /** All that there will be. */
  readonly sinks: readonly RunningSink[]
  readonly added: readonly RunningSink[]
  readonly removed: readonly RunningSink[]
  readonly choices: WorkerChoice['sinks']
}

/** The sinks of a run, the quarantine among them: opens them, joins them with workers, closes them. */
export class SinkSet {
  readonly #context: SinkSetContext
  #sinks: RunningSink[] = []
  #quarantine: RunningSink | undefined
  /** Removed ones that still write, or that workers may still hand frames to. */
  readonly #leaving: Set<RunningSink> = new Set()
  /** By name: what those counted that have ended. */
  readonly #gone: Map<string, SinkCounters> = new Map()
  /** Opened by the SIGHUP that is being carried out, whose call for other files is not for them. */
  #justOpened: readonly RunningSink[] = []
  /** Aborted once the program is to end. */
  readonly #hurried: AbortController = new AbortController()

  constructor(context: SinkSetContext) {
    this.#context = context
  }

  /** Opens the first ones, one after the other. Throws Failure, and what was opened is to be abandoned then. */
  async open(wishes: readonly SinkWish[], quarantine: SinkWish | undefined): Promise<void> {
    for (const wish of wishes) this.#sinks.push(await this.#open(wish))
    if (quarantine !== undefined) this.#quarantine = await this.#open(quarantine)
  }

  /** Whether every sink has room for the queue of one more worker. */
  get haveRoom(): boolean {
    return this.#all.every((sink) => sink.reserve())
  }

  /** Joins all sinks with a worker that has not begun. */
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

  /** Opens what is new among these sinks. Throws Failure, and nothing has changed then. */
  async prepare(wishes: readonly SinkWish[]): Promise<SinkChange> {
    await Promise.race([closed(this.#leaving), setTimeout(LEAVE_MS, undefined, { ref: false })])
    const left = [...this.#sinks]
    const added: RunningSink[] = []
    const sinks: RunningSink[] = []
    try {
      for (const wish of wishes) {
        const at = left.findIndex((sink) => sink.is(wish))
        const known = at < 0 ? undefined : left.splice(at, 1)[0]
        const sink = known ?? (await this.#openLater(wish))
        if (known === undefined) added.push(sink)
        sinks.push(sink)
      }
    } catch (error) {
      await abandon(added)
      throw error
    }
    const choices = wishes.map(({ wanted, filter }, i) => ({ id: sinks[i]!.id, wanted, filter }))
    return { sinks, added, removed: left, choices }
  }

  /** It is not to be. */
  async forget({ added }: SinkChange): Promise<void> {
    await abandon(added)
  }

  /** These are the sinks from now on; workers have still to be told. */
  adopt({ sinks, added, removed, choices }: SinkChange): void {
    this.#sinks = [...sinks]
    for (const sink of removed) {
      sink.isPartial = true
      this.#leaving.add(sink)
    }
    this.#justOpened = added
    for (const [i, { wanted, filter }] of choices.entries()) sinks[i]!.choice = { wanted, filter }
  }

  /** What a worker has to be told. */
  choiceFor(worker: number, { choices, added }: SinkChange): Pick<WorkerChoice, 'sinks' | 'added'> {
    return { sinks: choices, added: added.map((sink) => this.#planOf(sink, worker)) }
  }

  /** No worker hands anything to the removed ones any more: they write what they have, in their own time. */
  dismiss({ removed }: SinkChange): void {
    for (const sink of removed) {
      void sink.close().then(() => {
        this.#leaving.delete(sink)
        this.#gone.set(
          sink.name,
          SinkCounters.sum([this.#gone.get(sink.name) ?? new SinkCounters(), sink.account.total]),
        )
      })
    }
  }

  hurry(): void {
    this.#hurried.abort()
    for (const sink of [...this.#all, ...this.#leaving]) sink.open.hurry()
  }

  reopen(): void {
    for (const sink of this.#all) if (!this.#justOpened.includes(sink)) sink.open.reopen()
    this.#justOpened = []
  }

  /** No worker has begun: what was made for the sinks is taken away again. */
  async abandon(): Promise<void> {
    await abandon(this.#all)
  }

  /** All workers have ended: resolves when all sinks have written what they had. */
  async close(): Promise<void> {
    for (const sink of this.#all) await sink.close()
    await closed(this.#leaving)
  }

  accounts(): { sinks: NamedCounters[]; quarantine: NamedCounters | undefined } {
    const rows = this.#sinks.map(({ name, account, isPartial }) => ({ name, counters: account.total, isPartial }))
    // What went, and came again under the same name, is told with that.
    for (const [name, counters] of this.#past()) {
      const at = rows.findIndex((row) => row.name === name)
      const sum = at < 0 ? counters : SinkCounters.sum([rows[at]!.counters, counters])
      rows.splice(at < 0 ? rows.length : at, at < 0 ? 0 : 1, { name, counters: sum, isPartial: true })
    }
    const quarantine = this.#quarantine
    return { sinks: rows, quarantine: quarantine && { name: quarantine.name, counters: quarantine.account.total } }
  }

  /** By name: what sinks that were removed have counted. */
  #past(): Map<string, SinkCounters> {
    const past = new Map(this.#gone)
    for (const { name, account } of this.#leaving) {
      past.set(name, SinkCounters.sum([past.get(name) ?? new SinkCounters(), account.total]))
    }
    return past
  }

  get #all(): readonly RunningSink[] {
    return this.#quarantine === undefined ? this.#sinks : [...this.#sinks, this.#quarantine]
  }

  async #open(wish: SinkWish, isLate = false): Promise<RunningSink> {
    const { log, announced, options, slab, memories, stop, fail } = this.#context
    const sink: RunningSink = new RunningSink(wish, slab, () => void announced.then(() => this.#refit(sink)))
    sink.isPartial = isLate
    await sink.start(memories.length, {
      log,
      announced,
      live: sourceType(options.source.engine).canWait !== true,
      input: inputFile(options),
      isLate,
      hurried: this.#hurried.signal,
      rawIp: options.ipFrames === 'raw',
      stop: (reason) => {
        log.info({ sink: wish.name }, reason)
        // Whoever watches one sink and leaves must not end what the others collect.
        if (this.#sinks.length === 1 && this.#sinks[0] === sink) stop()
      },
      fail,
    })
    if (this.#hurried.signal.aborted) sink.open.hurry()
    return sink
  }

  async #openLater(wish: SinkWish): Promise<RunningSink> {
    if (askForPeers([wish]) && this.#context.memories[0]!.peers === undefined) {
      throw new Failure(
        EXIT_UNAVAILABLE,
        `--out ${wish.name}: it tells who sent each frame, which nothing has asked the kernel for from the start.`,
        'Start the collector again.',
      )
    }
    return await this.#open(wish, true)
  }

  #planOf(sink: RunningSink, worker: number): SinkPlan {
    return this.#withLinkType(sink, sink.attach(worker, this.#context.memories[worker]!))
  }

  /** Workers that go without a queue to this sink get one, as far as there is room. */
  #refit(sink: RunningSink): void {
    for (const [worker, memory] of this.#context.memories.entries()) {
      const joined = sink.refit(worker, memory)
      if (joined === undefined) continue
      const isQuarantine = sink === this.#quarantine
      this.#context.refit(worker, { refitted: this.#withLinkType(sink, joined), isQuarantine })
    }
  }

  #withLinkType({ wish }: RunningSink, joined: JoinedSink): SinkPlan {
    return { ...joined, linkType: onlyLinkType(sinkType(wish.type), this.#context.options) }
  }
}

async function abandon(sinks: readonly RunningSink[]): Promise<void> {
  for (const sink of sinks) await sink.abandon()
}

async function closed(sinks: Iterable<RunningSink>): Promise<void> {
  await Promise.all([...sinks].map((sink) => sink.close()))
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

/** As a path, also where a shell has opened it. */
function inputFile({ source }: PipelineOptions): string | undefined {
  return source.file === '-' ? '/dev/stdin' : source.file
}
