import { Worker } from 'node:worker_threads'
import { Failure, type FailureMessage, toFailureMessage } from '../../config/terms/failure.ts'
import { closeRecordQueue, createRecordQueue } from '../../frames/record-queue.ts'
import type { OpenSink, SinkContext } from '../sink.ts'
import { OverflowNotice } from './overflow-notice.ts'
import { REQUEST_HURRY, REQUEST_REOPEN, REQUEST_WORDS, type ThreadMessage, type ThreadWiring } from './wiring.ts'

/** What differs between sinks that send from a thread of their own. */
export interface ThreadPlan<Options> {
  /** Module that the thread runs; it calls runSender() of loop.ts. */
  readonly thread: URL
  /** Module of the half in the pipeline; its attach() makes a QueueWriter. */
  readonly pipelineHalf: URL
  /** Structured-clonable: both halves get them. */
  readonly options: Options
  readonly series?: SharedArrayBuffer | undefined
  readonly prompt: boolean
}

/** Starts a sink's thread and waits until it has opened what it can open before the first frame. @throws Failure */
export async function startSinkThread<Options>(plan: ThreadPlan<Options>, context: SinkContext): Promise<OpenSink> {
  const wiring: ThreadWiring<Options> = {
    slab: context.slab,
    queue: createRecordQueue(context.byteOffset, context.byteLength),
    options: plan.options,
    overflow: context.common.overflow,
    series: plan.series,
    counters: context.counters.memory,
    pipelineCounters: context.pipelineCounters,
    peers: context.peers,
    prompt: plan.prompt,
    live: context.live,
    requests: new SharedArrayBuffer(4 * REQUEST_WORDS),
  }
  const requests = new Int32Array(wiring.requests)
  const worker = new Worker(plan.thread, { workerData: wiring })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  await listenTo(worker, context, () => closeRecordQueue(wiring.queue, 'abandoned'))
  const notice = new OverflowNotice(context.name, context.log, context.counters)
  return {
    pipelineHalf: plan.pipelineHalf,
    wiring,
    close: async () => {
      closeRecordQueue(wiring.queue, 'closed')
      await ended
      notice.stop()
      context.counters.failRest()
    },
    abandon: async () => {
      closeRecordQueue(wiring.queue, 'abandoned')
      await ended
      notice.stop()
    },
    hurry: () => {
      Atomics.store(requests, REQUEST_HURRY, 1)
      Atomics.notify(requests, REQUEST_HURRY)
    },
    reopen: () => {
      Atomics.add(requests, REQUEST_REOPEN, 1)
    },
  }
}

/** Resolves when the thread is ready. `giveUp`: nobody takes anything out of the queue any more. */
function listenTo(worker: Worker, context: SinkContext, giveUp: () => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    let isReady = false
    const fail = (failure: FailureMessage) => {
      giveUp()
      if (isReady) context.fail(failure)
      else reject(new Failure(failure.exitCode, failure.what, failure.mend))
    }
    worker.on('error', (error) => fail(toFailureMessage(error)))
    worker.on('message', (message: ThreadMessage) => {
      if (message.kind === 'ready') {
        isReady = true
        resolve()
      } else if (message.kind === 'failed') fail(message)
      else if (message.kind === 'ended') context.stop(message.reason)
      else {
        const { level, fields, message: text } = message
        void context.announced.then(() => context.log[level]({ sink: context.name, ...fields }, text))
      }
    })
  })
}
