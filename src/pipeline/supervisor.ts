import type { Logger } from 'pino'
import { Failure, type FailureMessage } from '../config/terms/failure.ts'
import type { SinkWish } from '../sinks/sink.ts'
import { sourceType } from '../sources/registry.ts'
import type { Report } from '../telemetry/report.ts'
import type { Snapshot } from '../telemetry/snapshot.ts'
import { Accounting, nothingYet } from './accounting.ts'
import { Crew } from './crew.ts'
import { FrameBudget } from './frame-budget.ts'
import { mayBeNumbered } from './mirror-sessions.ts'
import type { Choice, PipelineOptions, PipelinePlan } from './plan.ts'
import { askForPeers, laneBytes, SinkSet } from './sink-set.ts'
import { pageAligned, Slab } from './slab.ts'
import { slabBytesInFront } from './source-room.ts'
import { withResolvers } from './with-resolvers.ts'
import { WorkerMemory } from './worker-memory.ts'

/** What there is once a run has been prepared. */
interface Run {
  readonly options: PipelineOptions
  readonly memories: readonly WorkerMemory[]
  readonly sinks: SinkSet
  readonly crew: Crew
  readonly accounting: Accounting
}

/** Runs pipelines in worker threads, with the sinks' threads beside them. */
export class Supervisor {
  readonly #log: Logger
  readonly #announced: ReturnType<typeof withResolvers<void>> = withResolvers<void>()
  #run: Run | undefined
  /** What SIGHUP has changed since the start; a worker that begins later begins with it. */
  #choice: Omit<Choice, 'sinks'> | undefined
  #isStopped = false
  #sinkFailure: Failure | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  /** What the source listens on or reads. */
  get description(): readonly string[] {
    return this.#run?.crew.sources[0]?.description ?? []
  }

  get warnings(): readonly string[] {
    return [...new Set(this.#run?.crew.sources.flatMap(({ warnings }) => warnings))]
  }

  /** Opens the sinks, then the source, so that nothing is received that cannot be written. Throws Failure. */
  async start(options: PipelineOptions, wishes: readonly SinkWish[], quarantine?: SinkWish): Promise<void> {
    const run = this.#prepare(options, wishes, quarantine)
    this.#run = run
    // Asked for while it was prepared.
    if (this.#isStopped) this.stop()
    try {
      await run.sinks.open(wishes, quarantine)
      await run.crew.open()
    } catch (error) {
      await run.crew.terminate()
      await run.sinks.abandon()
      throw error
    }
  }

  /**
   * Resolves when the source has ended or was stopped and every sink has written what it had: with what was wrong with
   * the input, if anything. Throws Failure when a worker or a sink's thread failed.
   */
  async finished(): Promise<string | undefined> {
    let problem: string | undefined
    try {
      problem = await this.#run?.crew.finished()
    } catch (error) {
      this.stop()
      throw error
    } finally {
      await this.#run?.sinks.close()
    }
    if (this.#sinkFailure !== undefined) throw this.#sinkFailure
    return problem
  }

  /** The program has said that it listens, or reads: now the first frame is received, and the sinks may say what they have to say. */
  announced(): void {
    this.#announced.resolve()
    this.#run?.crew.begin()
  }

  /** Of each worker a number that moves while it lives: at least every 100 ms, unless it ended. */
  get turns(): readonly number[] {
    return this.#run?.memories.map(({ turns }) => turns) ?? []
  }

  /** What has arrived by now is still delivered; then finished() resolves. */
  stop(): void {
    this.#isStopped = true
    this.#run?.crew.stop()
    this.#run?.sinks.hurry()
  }

  /** Whether it was asked to end before the source did. */
  get stopped(): boolean {
    return this.#isStopped
  }

  /** Whether senders were asked for from the start, as --allow-from needs. */
  get knowsSenders(): boolean {
    return this.#run?.memories[0]?.peers !== undefined
  }

  /**
   * Changes what is let in, kept and handed to each sink, and which sinks there are, without losing a frame. Resolves when it
   * is so, with the names of the sinks that came and went. Throws Failure where a new sink cannot be: nothing has changed then.
   */
  async choose({ sinks: wishes, ...choice }: Choice): Promise<{ added: string[]; removed: string[] }> {
    await this.#announced.promise
    const nothing = { added: [], removed: [] }
    if (this.#isStopped) return nothing
    const { sinks, crew } = this.#run!
    const change = await sinks.prepare(wishes)
    if (this.#isStopped) {
      await sinks.forget(change)
      return nothing
    }
    this.#choice = choice
    sinks.adopt(change)
    await crew.choose((worker) => ({ ...choice, ...sinks.choiceFor(worker, change) }))
    sinks.dismiss(change)
    const names = (some: readonly { readonly name: string }[]) => some.map(({ name }) => name)
    return { added: names(change.added), removed: names(change.removed) }
  }

  reopenSinks(): void {
    this.#run?.sinks.reopen()
  }

  report(): Report {
    return this.#run?.accounting.report() ?? nothingYet().report
  }

  snapshot(): Snapshot {
    return this.#run?.accounting.snapshot() ?? nothingYet()
  }

  #prepare(options: PipelineOptions, wishes: readonly SinkWish[], quarantine: SinkWish | undefined): Run {
    const all = quarantine === undefined ? wishes : [...wishes, quarantine]
    const slab = new Slab(slabBytes(options, all), options.mayGrow ?? false)
    const places = Array.from({ length: options.workers }, () => slab.take(slabBytesInFront(options.source)))
    const memories = places.map(() => new WorkerMemory(options, needsPeers(options, all)))
    const sinks = new SinkSet({
      log: this.#log,
      announced: this.#announced.promise,
      options,
      slab,
      memories,
      refit: (worker, refit) => crew.refit(worker, refit),
      stop: () => this.stop(),
      fail: (failure) => this.#fail(failure),
    })
    const { count, workers } = options
    const budget = Number.isFinite(count) ? FrameBudget.allocate(count, workers) : undefined
    const crew: Crew = new Crew({
      log: this.#log,
      announced: this.#announced.promise,
      memories,
      mayRestart: sourceType(options.source.engine).canWait !== true,
      planFor: (worker, first, before) => {
        const share = workers === 1 ? undefined : { worker, workers, group: first?.group }
        const { peers, peerCounts, sessions, tunnelCounts, counters, control } = memories[worker]!
        const plan: PipelinePlan = {
          ...options,
          ...this.#choice,
          source: { ...options.source, share, legacy: before?.legacy },
          worker,
          slab: slab.memory,
          byteOffset: places[worker]!.byteOffset,
          counters: counters.memory,
          control: control.buffer as SharedArrayBuffer,
          tunnelCounts,
          peers,
          peerCounts,
          sessions,
          budget,
          ...sinks.attach(worker),
        }
        return plan
      },
      buried: (worker) => {
        const lost = memories[worker]!.countLost()
        sinks.detach(worker)
        if (budget !== undefined) new FrameBudget(budget, worker).settle(memories[worker]!.counters.delivered)
        return lost
      },
      hasRoom: () => sinks.haveRoom,
    })
    return { options, memories, sinks, crew, accounting: new Accounting(memories, sinks, crew) }
  }

  #fail({ exitCode, what, mend }: FailureMessage): void {
    this.#sinkFailure ??= new Failure(exitCode, what, mend)
    this.stop()
  }
}

function needsPeers(options: PipelineOptions, wishes: readonly SinkWish[]): boolean {
  if (options.countPeers || options.allowFrom.length > 0 || mayBeNumbered(options.source.listeners)) return true
  return askForPeers(wishes)
}

/** For all workers; where workers are started again, those that died may leave each sink one queue more, see RunningSink. */
function slabBytes({ source, workers }: PipelineOptions, wishes: readonly SinkWish[]): number {
  const lanes = wishes.reduce((sum, wish) => sum + pageAligned(laneBytes(wish)), 0)
  const spare = sourceType(source.engine).canWait === true ? 0 : lanes
  return workers * (pageAligned(slabBytesInFront(source)) + lanes) + spare
}
