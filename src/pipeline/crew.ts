import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import { Failure, type FailureMessage } from '../config/terms/failure.ts'
import { CONTROL_STOP, type PipelinePlan, type SourceReady, type WorkerChoice, type WorkerRefit } from './plan.ts'
import type { WorkerMemory } from './worker-memory.ts'
import { WorkerThread } from './worker-thread.ts'

/** Deaths within this time, after which a worker is not started again: what kills it will not go away. */
const MOST_DEATHS = 5
const WINDOW_MS = 60_000
/** Before a second start; doubled for each further one. */
const FIRST_PAUSE_MS = 100
/** A sink that takes anything sends within so many looks what a worker that died has left it, and has room again. */
const ROOM_LOOKS = 20
const LOOK_MS = 2

export interface CrewTask {
  readonly log: Logger
  /** Resolves when the program has said that it listens. */
  readonly announced: Promise<void>
  /** One for each worker. */
  readonly memories: readonly WorkerMemory[]
  /** A worker that dies is started again. */
  readonly mayRestart: boolean
  /**
   * What a worker is to do. `first`: what the first worker's source told, where that is another; `before`: what this one's
   * source had told, where it takes the place of a worker that died.
   */
  planFor(worker: number, first: SourceReady | undefined, before?: SourceReady): PipelinePlan
  /** It will hand nothing over any more, and its successor has not begun. Returns how many packets were lost in it. */
  buried(worker: number): number
  /** Whether every sink has room for a successor's queue. */
  hasRoom(): boolean
}

/** The workers of a run: starts them, starts those again that die, waits for their end. */
export class Crew {
  /** How often a worker was started again. */
  restarts = 0
  readonly #task: CrewTask
  readonly #threads: WorkerThread[]
  #ready: SourceReady[] = []
  /** By performance.now(). */
  #deaths: number[] = []
  #hasBegun = false
  #ends: Promise<string | undefined>[] = []

  constructor(task: CrewTask) {
    this.#task = task
    this.#threads = task.memories.map(() => this.#newThread())
  }

  /** What the sources listen on, and what users should know of them. */
  get sources(): readonly SourceReady[] {
    return this.#ready
  }

  get isStopped(): boolean {
    return Atomics.load(this.#task.memories[0]!.control, CONTROL_STOP) === 1
  }

  /** Opens the sources: the first one's alone, as the others join it. Throws Failure. */
  async open(): Promise<void> {
    const open = async (worker: number, first?: SourceReady) =>
      await this.#threads[worker]!.open(this.#task.planFor(worker, first))
    const first = await open(0)
    this.#ready = await Promise.all(this.#threads.map((_, worker) => (worker === 0 ? first : open(worker, first))))
    this.#ends = this.#threads.map((_, worker) => this.#watch(worker))
    // finished() tells of it.
    for (const end of this.#ends) end.catch(() => {})
  }

  /** The first frame may be received. */
  begin(): void {
    this.#hasBegun = true
    for (const thread of this.#threads) thread.begin()
  }

  /** What has arrived by now is still delivered. */
  stop(): void {
    for (const { control } of this.#task.memories) Atomics.store(control, CONTROL_STOP, 1)
  }

  /** Resolves when all have it in force. One that has died is not asked for: its successor's plan has it. */
  async choose(choiceFor: (worker: number) => WorkerChoice): Promise<void> {
    await Promise.all(this.#threads.map((thread, worker) => thread.choose(() => choiceFor(worker))))
  }

  refit(worker: number, refit: WorkerRefit): void {
    this.#threads[worker]!.refit(refit)
  }

  /** Resolves when all have ended, with what was wrong with the input, if anything. Throws Failure when one failed for good. */
  async finished(): Promise<string | undefined> {
    const ends = await Promise.allSettled(this.#ends)
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return ends.map((end) => (end.status === 'fulfilled' ? end.value : undefined)).find((each) => each !== undefined)
  }

  async terminate(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()))
  }

  #newThread(): WorkerThread {
    const { announced, log } = this.#task
    return new WorkerThread((level, text) => void announced.then(() => log[level](text)))
  }

  /** Until the worker has ended in peace; a successor takes its place as long as that makes sense. */
  async #watch(worker: number): Promise<string | undefined> {
    for (;;) {
      const thread = this.#threads[worker]!
      const end = await thread.ended
      if (end.failure === undefined) return end.problem
      await thread.terminate()
      const lost = this.#task.buried(worker)
      const pause = this.#task.mayRestart && !this.isStopped ? this.#pauseAfterDeath() : undefined
      if (pause === undefined) {
        this.stop()
        throw new Failure(end.failure.exitCode, end.failure.what, end.failure.mend)
      }
      this.#say(worker, end.failure, lost)
      await setTimeout(pause)
      for (let look = 0; look < ROOM_LOOKS && !this.#task.hasRoom(); look++) await setTimeout(LOOK_MS)
      // Also when all are to end by now: what waits in its sockets or its ring is still to be taken.
      this.restarts++
      this.#succeed(worker)
    }
  }

  /** Undefined when it is hopeless. */
  #pauseAfterDeath(): number | undefined {
    const now = performance.now()
    this.#deaths = [...this.#deaths.filter((death) => now - death < WINDOW_MS), now]
    const earlier = this.#deaths.length - 1
    if (this.#deaths.length >= MOST_DEATHS) return undefined
    return earlier === 0 ? 0 : FIRST_PAUSE_MS * 2 ** (earlier - 1)
  }

  #say(worker: number, { what, mend }: FailureMessage, lost: number): void {
    const [first = '', ...more] = what.split('\n')
    const text = `Worker ${worker + 1} died and is started again; ${lost} packets were lost in it: ${first}`
    this.#task.log.error({ ...(more.length > 0 && { stack: more }), mend }, text)
  }

  #succeed(worker: number): void {
    const thread = this.#newThread()
    this.#threads[worker] = thread
    const first = worker === 0 ? undefined : this.#ready[0]
    try {
      // A failure shows as the thread's end.
      thread.open(this.#task.planFor(worker, first, this.#ready[worker])).catch(() => {})
      if (this.#hasBegun) thread.begin()
    } catch (error) {
      thread.fail(error)
    }
  }
}
