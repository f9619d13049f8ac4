import { Worker } from 'node:worker_threads'
import { Failure, type FailureMessage, toFailureMessage } from '../config/terms/failure.ts'
import type { NoticeLevel } from '../sources/source.ts'
import {
  BEGIN,
  type PipelinePlan,
  type SourceReady,
  type WorkerChoice,
  type WorkerMessage,
  type WorkerRefit,
} from './plan.ts'
import { type Resolvers, withResolvers } from './with-resolvers.ts'

/** How a worker ended: with what was wrong with its input, if anything, or by a failure. */
export type WorkerEnd =
  | { readonly problem: string | undefined; readonly failure?: undefined }
  | { readonly failure: FailureMessage }

let early: Worker | undefined

/**
 * Starts a thread that the first WorkerThread takes over: it loads its modules while the program reads its command line
 * (measured: a `decap` of a small file takes a sixth less), and the `likely` ones that its plan will name. One that nobody takes
 * does not keep the program from ending.
 */
export function startWorkerEarly(likely: readonly URL[]): void {
  const worker = startThread(likely)
  early = worker
  worker.unref()
  // One that is dead before it is taken is not taken: the next tells why.
  worker.on('error', () => {
    if (early === worker) early = undefined
  })
}

function takeEarly(): Worker | undefined {
  const worker = early
  early = undefined
  worker?.ref()
  return worker
}

function startThread(likely: readonly URL[] = []): Worker {
  return new Worker(new URL('./worker.js', import.meta.url), { argv: likely.map(({ href }) => href) })
}

/** One worker's thread, from its start to its end. */
export class WorkerThread {
  readonly #worker: Worker
  readonly #ready: Resolvers<SourceReady> = withResolvers<SourceReady>()
  readonly #ended: Resolvers<WorkerEnd> = withResolvers<WorkerEnd>()
  readonly #exited: Promise<void>
  #chosen: (() => void) | undefined
  #hasEnded = false

  /** It loads its modules, and opens the source when it gets the plan. */
  constructor(say: (level: NoticeLevel, text: string) => void) {
    const worker = takeEarly() ?? startThread()
    this.#worker = worker
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()))
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'ready') this.#ready.resolve(message)
      else if (message.kind === 'failed') this.#end({ failure: message.failure })
      else if (message.kind === 'finished') this.#end({ problem: message.problem })
      else if (message.kind === 'chosen') this.#chosen?.()
      else say(message.level, message.text)
    })
    worker.on('error', (error) => this.#end({ failure: toFailureMessage(error) }))
    worker.on('exit', () =>
      this.#end({ failure: toFailureMessage(new Error('The pipeline worker ended without a word.')) }),
    )
    // Whoever waits for the end hears of it, too.
    this.#ready.promise.catch(() => {})
  }

  /** Opens the source. Throws Failure. */
  async open(plan: PipelinePlan): Promise<SourceReady> {
    this.#worker.postMessage(plan)
    return await this.#ready.promise
  }

  /** What was opened may be used. */
  begin(): void {
    this.#worker.postMessage(BEGIN)
  }

  /** Resolves when the choice is in force, or the worker has ended. */
  async choose(choice: () => WorkerChoice): Promise<void> {
    if (this.#hasEnded) return
    this.#worker.postMessage(choice())
    // No race with the end: each would leave a reaction on that promise, which lives as long as the worker.
    await new Promise<void>((resolve) => {
      this.#chosen = resolve
    })
  }

  /** In force at some time from now on; goes nowhere where it has ended. */
  refit(refit: WorkerRefit): void {
    this.#worker.postMessage(refit)
  }

  get ended(): Promise<WorkerEnd> {
    return this.#ended.promise
  }

  /** It cannot be given a plan. */
  fail(error: unknown): void {
    this.#end({ failure: toFailureMessage(error) })
  }

  /** Resolves when nothing of it runs any more. */
  async terminate(): Promise<void> {
    void this.#worker.terminate()
    await this.#exited
  }

  #end(end: WorkerEnd): void {
    this.#hasEnded = true
    this.#chosen?.()
    this.#ended.resolve(end)
    const { exitCode, what, mend } = end.failure ?? toFailureMessage(new Error('It ended before it was open.'))
    this.#ready.reject(new Failure(exitCode, what, mend))
  }
}
