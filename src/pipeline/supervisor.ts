import { Worker } from 'node:worker_threads'
import type { Logger } from 'pino'
import { EXIT_USAGE, Failure, type FailureMessage, toFailureMessage } from '../config/terms/failure.ts'
import { allocateSharedMemory, type SharedMemoryHandle } from '../dgram-extended/shared-memory.ts'
import { PeerCounts } from '../frames/peer-counts.ts'
import { PeerTable } from '../frames/peer-table.ts'
import { TunnelCounts } from '../frames/tunnel-counts.ts'
import { QUARANTINE, sinkType } from '../sinks/registry.ts'
import type { OpenSink, SinkType, SinkWish } from '../sinks/sink.ts'
import { sourceType } from '../sources/registry.ts'
import { PipelineCounters, SinkCounters } from '../telemetry/counters.ts'
import { buildReport, type Report } from '../telemetry/report.ts'
import type { Snapshot } from '../telemetry/snapshot.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../wire/link-type.ts'
import { allocateSessions, gapsIn, mayBeNumbered, type SessionMemory } from './mirror-sessions.ts'
import { slabBytesInFront } from './pipeline.ts'
import {
  BEGIN,
  type Choice,
  CONTROL_STOP,
  CONTROL_TURNS,
  CONTROL_WORDS,
  COUNTED_PEERS,
  COUNTED_TUNNELS,
  type PipelineOptions,
  type PipelinePlan,
  type SinkPlan,
  type WorkerMessage,
} from './plan.ts'

/** Places in the slab have 32 bits, and a record is told by where it ends. */
const LARGEST_SLAB = 3 * 2 ** 30
/** Parts of the slab start on a page, so that no two share a cache line. */
const PAGE_BYTES = 4096

interface RunningSink {
  readonly type: string
  readonly name: string
  readonly open: OpenSink
  readonly counters: SinkCounters
}

/** Runs one pipeline in a worker thread, with its sinks' threads beside it. */
export class Supervisor {
  readonly #log: Logger
  readonly #counters: PipelineCounters = new PipelineCounters()
  readonly #tunnelCounts: SharedArrayBuffer = new SharedArrayBuffer(TunnelCounts.bytesFor(COUNTED_TUNNELS))
  readonly #control: Int32Array = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS))
  /** The quarantine is among them. */
  readonly #sinks: RunningSink[] = []
  #description: readonly string[] = []
  #peers: SharedArrayBuffer | undefined
  #peerCounts: SharedArrayBuffer | undefined
  #sessions: SessionMemory | undefined
  #warnings: readonly string[] = []
  readonly #announced: ReturnType<typeof withResolvers<void>> = withResolvers<void>()
  #finished: Promise<string | undefined> = Promise.resolve(undefined)
  #sinkFailure: Failure | undefined
  #worker: Worker | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  /** What the source listens on or reads. */
  get description(): readonly string[] {
    return this.#description
  }

  get warnings(): readonly string[] {
    return this.#warnings
  }

  /** Opens the sinks, then the source, so that nothing is received that cannot be written. Throws Failure. */
  async start(options: PipelineOptions, wanted: readonly SinkWish[], quarantine?: SinkWish): Promise<void> {
    const wishes = quarantine === undefined ? wanted : [...wanted, quarantine]
    const slab = allocateSlab(options, wishes)
    try {
      // The worker loads its modules while the sinks open; it opens the source when it gets the plan.
      const worker = new Worker(new URL('./worker.js', import.meta.url))
      this.#worker = worker
      const ready = this.#listenTo(worker)
      const peers = needsPeers(options, wishes) ? new SharedArrayBuffer(PeerTable.bytesFor(COUNTED_PEERS)) : undefined
      this.#peers = peers
      if (options.countPeers) this.#peerCounts = new SharedArrayBuffer(PeerCounts.bytesFor(COUNTED_PEERS))
      if (mayBeNumbered(options.source.listeners)) this.#sessions = allocateSessions()
      const sinks = await this.#openSinks(slab, options, wishes, peers).catch(async (error: unknown) => {
        await worker.terminate()
        throw error
      })
      const plan: PipelinePlan = {
        ...options,
        slab: slab.memory,
        counters: this.#counters.memory,
        tunnelCounts: this.#tunnelCounts,
        control: this.#control.buffer as SharedArrayBuffer,
        peers,
        peerCounts: this.#peerCounts,
        sessions: this.#sessions,
        sinks: sinks.slice(0, wanted.length),
        quarantine: sinks[wanted.length],
      }
      worker.postMessage(plan)
      await ready
    } catch (error) {
      for (const sink of this.#sinks) await sink.open.abandon()
      throw error
    }
  }

  /**
   * Resolves when the source has ended or was stopped and every sink has written what it had: with what was wrong with
   * the input, if anything. Throws Failure when the worker or a sink's thread failed.
   */
  async finished(): Promise<string | undefined> {
    let problem: string | undefined
    try {
      problem = await this.#finished
    } catch (error) {
      this.stop()
      throw error
    } finally {
      await this.#closeSinks()
    }
    if (this.#sinkFailure !== undefined) throw this.#sinkFailure
    return problem
  }

  /** The program has said that it listens, or reads: now the first frame is received, and the sinks may say what they have to say. */
  announced(): void {
    this.#announced.resolve()
    this.#worker?.postMessage(BEGIN)
  }

  /** A number that moves while the worker lives: at least every 100 ms, unless it ended or waits for a sink. */
  get turns(): number {
    return Atomics.load(this.#control, CONTROL_TURNS)
  }

  /** What has arrived by now is still delivered; then finished() resolves. */
  stop(): void {
    Atomics.store(this.#control, CONTROL_STOP, 1)
    for (const sink of this.#sinks) sink.open.hurry()
  }

  /** Whether it was asked to end before the source did. */
  get stopped(): boolean {
    return Atomics.load(this.#control, CONTROL_STOP) === 1
  }

  /** Whether senders were asked for from the start, as --allow-from needs. */
  get knowsSenders(): boolean {
    return this.#peers !== undefined
  }

  /** Changes what is let in, kept and handed to each sink, without losing a frame. Resolves when it is so. */
  async choose(choice: Choice): Promise<void> {
    await this.#announced.promise
    const chosen = new Promise<void>((resolve) => {
      this.#worker?.on('message', function look(this: Worker, { kind }: WorkerMessage) {
        if (kind !== 'chosen') return
        this.off('message', look)
        resolve()
      })
    })
    this.#worker?.postMessage(choice)
    await chosen
  }

  reopenSinks(): void {
    for (const sink of this.#sinks) sink.open.reopen()
  }

  report(): Report {
    const tunnels = new TunnelCounts(this.#tunnelCounts, COUNTED_TUNNELS)
    const sinks = this.#sinks.filter(({ type }) => type !== QUARANTINE)
    const quarantine = this.#sinks.find(({ type }) => type === QUARANTINE)
    const gaps = this.#sessions && this.#peers && gapsIn(this.#sessions, this.#peers)
    return buildReport(this.#counters, tunnels, sinks, quarantine, gaps)
  }

  /** The accounting and what is seen beside it, now. */
  snapshot(): Snapshot {
    const counts = this.#peerCounts && this.#peers && new PeerCounts(this.#peerCounts)
    return {
      report: this.report(),
      receivedBytes: this.#counters.receivedBytes,
      deliveredBytes: this.#counters.deliveredBytes,
      inputBytes: this.#counters.inputBytes,
      peers: counts === undefined ? {} : counts.toObject(PeerTable.reader(this.#peers!)),
    }
  }

  async #openSinks(
    slab: Slab,
    options: PipelineOptions,
    wishes: readonly SinkWish[],
    peers: SharedArrayBuffer | undefined,
  ): Promise<SinkPlan[]> {
    const plans: SinkPlan[] = []
    for (const [i, wish] of wishes.entries()) {
      const counters = new SinkCounters()
      const open = await sinkType(wish.type).open(wish.options, {
        name: wish.name,
        log: this.#log,
        announced: this.#announced.promise,
        counters,
        common: wish.common,
        slab: slab.memory,
        ...slab.sinkParts[i]!,
        live: sourceType(options.source.engine).canWait !== true,
        rawIp: options.ipFrames === 'raw',
        pipelineCounters: this.#counters.memory,
        peers,
        stop: (reason) => {
          this.#log.warn({ sink: wish.name }, reason)
          // Whoever watches one sink and leaves must not end what the others collect.
          if (wishes.filter(({ type }) => type !== QUARANTINE).length === 1) this.stop()
        },
        fail: (failure) => {
          this.#sinkFailure ??= new Failure(failure.exitCode, failure.what, failure.mend)
          this.stop()
        },
      })
      this.#sinks.push({ type: wish.type, name: wish.name, open, counters })
      if (this.stopped) open.hurry()
      plans.push({
        pipelineHalf: open.pipelineHalf.href,
        wiring: open.wiring,
        counters: counters.memory,
        wanted: wish.wanted,
        filter: wish.filter,
        name: wish.name,
        linkType: onlyLinkType(sinkType(wish.type), options),
      })
    }
    return plans
  }

  /** Resolves when the source is open. */
  #listenTo(worker: Worker): Promise<void> {
    const ready = withResolvers<void>()
    const finished = withResolvers<string | undefined>()
    const fail = (failure: FailureMessage) => {
      const error = new Failure(failure.exitCode, failure.what, failure.mend)
      ready.reject(error)
      finished.reject(error)
    }
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'failed') return fail(message.failure)
      if (message.kind === 'finished') return finished.resolve(message.problem)
      if (message.kind === 'chosen') return
      if (message.kind === 'notice')
        return void this.#announced.promise.then(() => this.#log[message.level](message.text))
      this.#description = message.description
      this.#warnings = message.warnings
      ready.resolve()
    })
    worker.on('error', (error) => fail(toFailureMessage(error)))
    worker.on('exit', () => fail(toFailureMessage(new Error('The pipeline worker ended without a word.'))))
    this.#finished = finished.promise
    // start() reports a failure before `ready`; finished() one after it.
    this.#finished.catch(() => {})
    ready.promise.catch(() => {})
    return ready.promise
  }

  async #closeSinks(): Promise<void> {
    for (const sink of this.#sinks) await sink.open.close()
  }
}

function needsPeers(options: PipelineOptions, wishes: readonly SinkWish[]): boolean {
  if (options.countPeers || options.allowFrom.length > 0 || mayBeNumbered(options.source.listeners)) return true
  return wishes.some((wish) => sinkType(wish.type).needsPeers?.(wish.options) === true)
}

interface Slab {
  readonly memory: SharedMemoryHandle
  readonly sinkParts: readonly { readonly byteOffset: number; readonly byteLength: number }[]
}

/** One memory for the source and all sinks, so that a frame gets from one to the other by copyWithin. */
function allocateSlab(options: PipelineOptions, wishes: readonly SinkWish[]): Slab {
  let end = pageAligned(slabBytesInFront(options.source))
  const sinkParts = wishes.map((wish) => {
    const part = { byteOffset: end, byteLength: sinkType(wish.type).slabBytes(wish.common.queue) }
    end = pageAligned(end + part.byteLength)
    return part
  })
  if (end > LARGEST_SLAB) {
    const mebibytes = Math.ceil(end / 2 ** 20)
    throw new Failure(
      EXIT_USAGE,
      `The queues need ${mebibytes} MiB together.`,
      'Lower queue=: there are 3 GiB for all of them.',
    )
  }
  return { memory: allocateSharedMemory(end), sinkParts }
}

/** What a sink's frames must be where not all are Ethernet. */
function onlyLinkType(type: SinkType<unknown>, options: PipelineOptions): number | undefined {
  if (options.ipFrames === 'ethernet' || type.takesRawIp === 'beside-ethernet') return undefined
  return type.takesRawIp === 'alone' ? LINKTYPE_RAW : LINKTYPE_ETHERNET
}

function pageAligned(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: Error) => void
} {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
