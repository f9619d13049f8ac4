import { Worker } from 'node:worker_threads'
import { REQUEST_WIRING, REQUEST_WORDS, type ThreadWiring } from './wiring.ts'

/** A thread that loads its modules, and then waits to be told what for. */
export interface StartedThread {
  readonly worker: Worker
  /** See ThreadWiring. */
  readonly requests: Int32Array
}

/** By module: threads that nobody has taken yet. */
const early: Map<string, StartedThread> = new Map()

/** Starts a thread for the first sink that wants one with this module. Until then it does not keep the program from ending. */
export function startEarly(module: URL): void {
  const thread = startThread(module)
  const forget = () => {
    if (early.get(module.href) === thread) early.delete(module.href)
  }
  early.set(module.href, thread)
  thread.worker.unref()
  // One that is known to be dead is not taken: the next tells why.
  thread.worker.on('error', forget)
  thread.worker.once('exit', forget)
}

/** The one that was started early, or a new one. */
export function takeThread(module: URL): StartedThread {
  const thread = early.get(module.href)
  early.delete(module.href)
  thread?.worker.ref()
  return thread ?? startThread(module)
}

/** No sink will take those that are left. */
export function dismissEarly(): void {
  for (const { worker } of early.values()) void worker.terminate()
  early.clear()
}

export function wire<Options>({ worker, requests }: StartedThread, wiring: ThreadWiring<Options>): void {
  worker.postMessage(wiring)
  Atomics.store(requests, REQUEST_WIRING, 1)
  Atomics.notify(requests, REQUEST_WIRING)
}

function startThread(module: URL): StartedThread {
  const requests = new Int32Array(new SharedArrayBuffer(4 * REQUEST_WORDS))
  return { worker: new Worker(module, { workerData: requests }), requests }
}
