import type { Worker } from 'node:worker_threads'
import { Failure, type FailureMessage, toFailureMessage } from '../../config/terms/failure.ts'
import { Bell, createBell } from '../../frames/bell.ts'
import { closeRecordQueue, createRecordQueue, recycleRecordQueue } from '../../frames/record-queue.ts'
import type { LaneContext, OpenSink, SinkContext } from '../sink.ts'
import { createLoan } from './loan.ts'
import { OverflowNotice } from './overflow-notice.ts'
import { takeThread, wire } from './start.ts'
import {
  ABANDONING,
  type Drained,
  ENDING,
  type Lane,
  REQUEST_END,
  REQUEST_HURRY,
  REQUEST_LANES,
  REQUEST_REOPEN,
  type ThreadMessage,
  type ThreadWiring,
} from './wiring.ts'

/** What differs between sinks that send from a thread of their own. */
export interface ThreadPlan<Options> {
  /** Module that the thread runs; it calls runSender() of loop.ts. */
  readonly thread: URL
  /** Module of the half in the pipeline; its attach() makes a QueueWriter. */
  readonly pipelineHalf: URL
  /** Structured-clonable: both halves get them. */
  readonly options: Options
  /** Makes the memory of a lane's table of series; absent where all frames are one series. */
  readonly series?: (() => SharedArrayBuffer) | undefined
  readonly prompt: boolean
  /** Whether its sender lends its file. */
  readonly lends?: boolean
}

/** Starts a sink's thread and waits until it has opened what it can open before the first frame. @throws Failure */
export async function startSinkThread<Options>(plan: ThreadPlan<Options>, context: SinkContext): Promise<OpenSink> {
  const thread = new SinkThreadHost(plan, context)
  const hurry = () => thread.hurry()
  if (context.hurried?.aborted) hurry()
  context.hurried?.addEventListener('abort', hurry)
  await thread.ready.finally(() => context.hurried?.removeEventListener('abort', hurry))
  return thread
}

class SinkThreadHost<Options> implements OpenSink {
  readonly pipelineHalf: URL
  /** Rejects with a Failure. */
  readonly ready: Promise<void>
  readonly #plan: ThreadPlan<Options>
  readonly #context: SinkContext
  readonly #requests: Int32Array
  readonly #bell: SharedArrayBuffer = createBell()
  readonly #worker: Worker
  readonly #ended: Promise<void>
  readonly #lanes: Map<number, { readonly lane: Lane<Options>; readonly context: LaneContext }> = new Map()
  #notice: OverflowNotice | undefined

  constructor(plan: ThreadPlan<Options>, context: SinkContext) {
    this.#plan = plan
    this.#context = context
    this.pipelineHalf = plan.pipelineHalf
    const thread = takeThread(plan.thread)
    this.#worker = thread.worker
    this.#requests = thread.requests
    const wiring: ThreadWiring<Options> = {
      slab: context.slab,
      options: plan.options,
      overflow: context.common.overflow,
      counters: context.account.sent.memory,
      live: context.live,
      isLate: context.isLate ?? false,
      hasSeries: plan.series !== undefined,
      bell: this.#bell,
      requests: this.#requests.buffer as SharedArrayBuffer,
    }
    this.#ended = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    this.ready = this.#listen()
    wire(thread, wiring)
  }

  attach(context: LaneContext): Lane<Options> {
    const { id, worker, counters, byteOffset, byteLength, pipelineCounters, peers } = context
    const lane: Lane<Options> = {
      id,
      worker,
      queue: createRecordQueue(byteOffset, byteLength, this.#bell),
      options: this.#plan.options,
      overflow: this.#context.common.overflow,
      prompt: this.#plan.prompt,
      loan: this.#plan.lends === true ? createLoan() : undefined,
      series: this.#plan.series?.(),
      counters: counters.memory,
      pipelineCounters,
      peers,
    }
    this.#lanes.set(id, { lane, context })
    this.#worker.postMessage(lane)
    this.#ask(REQUEST_LANES)
    return lane
  }

  detach(id: number): void {
    const lane = this.#lanes.get(id)
    if (lane !== undefined) closeRecordQueue(lane.lane.queue, 'closed')
  }

  async close(): Promise<void> {
    for (const { lane } of this.#lanes.values()) closeRecordQueue(lane.queue, 'closed')
    await this.#end(ENDING)
    this.#context.account.failRest()
  }

  async abandon(): Promise<void> {
    this.#giveUp()
    await this.#end(ABANDONING)
  }

  hurry(): void {
    Atomics.store(this.#requests, REQUEST_HURRY, 1)
    Atomics.notify(this.#requests, REQUEST_HURRY)
  }

  reopen(): void {
    this.#ask(REQUEST_REOPEN)
  }

  #ask(request: number): void {
    Atomics.add(this.#requests, request, 1)
    new Bell(this.#bell).ring()
  }

  async #end(how: number): Promise<void> {
    Atomics.store(this.#requests, REQUEST_END, how)
    new Bell(this.#bell).ring()
    await this.#ended
    this.#notice?.stop()
  }

  /** Nobody takes anything out of the queues any more. */
  #giveUp(): void {
    for (const { lane } of this.#lanes.values()) closeRecordQueue(lane.queue, 'abandoned')
  }

  /** Resolves when the thread is ready. */
  #listen(): Promise<void> {
    const context = this.#context
    return new Promise<void>((resolve, reject) => {
      let isReady = false
      const fail = (failure: FailureMessage) => {
        this.#giveUp()
        if (isReady) context.fail(failure)
        else reject(new Failure(failure.exitCode, failure.what, failure.mend))
      }
      this.#worker.on('error', (error) => fail(toFailureMessage(error)))
      this.#worker.once('exit', () => {
        if (!isReady) fail(toFailureMessage(new Error(`The thread of ${context.name} ended without a word.`)))
      })
      this.#worker.on('message', (message: ThreadMessage) => {
        if (message.kind === 'ready') {
          isReady = true
          this.#notice = new OverflowNotice(context.name, context.log, context.account)
          resolve()
        } else if (message.kind === 'failed') fail(message)
        else if (message.kind === 'ended') context.stop(message.reason)
        else if (message.kind === 'drained') this.#drained(message)
        else {
          const { level, fields, message: text } = message
          void context.announced.then(() => context.log[level]({ sink: context.name, ...fields }, text))
        }
      })
    })
  }

  #drained({ lane: id, frames }: Drained): void {
    const known = this.#lanes.get(id)
    if (known === undefined) return
    this.#lanes.delete(id)
    known.context.drained(frames)
    recycleRecordQueue(known.lane.queue)
  }
}
