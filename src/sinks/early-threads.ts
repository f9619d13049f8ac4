import { Worker } from 'node:worker_threads'
import { FRAME_WRITER, WRITER_THREAD } from './pcap/halves.ts'
import { REQUEST_WIRING, REQUEST_WORDS, type ThreadWiring } from './thread/wiring.ts'

/** A thread that loads its modules, and then waits to be told what for. */
export interface StartedThread {
  readonly worker: Worker
  /** See ThreadWiring. */
  readonly requests: Int32Array
}

/** By module: threads that nobody has taken yet. */
const early: Map<string, StartedThread> = new Map()

/** What follows `--out`, or is of one word with it, for the sinks that nearly everybody has. */
const FILE_SINK = /^(--out=)?pcap(ng)?([:?]|$)/

/**
 * Starts the thread of the sink that the command line seems to ask for, before there is a registry to ask. Until a sink takes it, it
 * does not keep the program from ending. Returns the modules of sinks that the pipeline will load then.
 */
export function startLikelyThread(argv: readonly string[]): readonly URL[] {
  if (!argv.some((word) => FILE_SINK.test(word))) return []
  const { href } = WRITER_THREAD
  const thread = startThread(WRITER_THREAD)
  early.set(href, thread)
  thread.worker.unref()
  // One that is dead before it is taken is not taken: the next tells why.
  thread.worker.on('error', () => {
    if (early.get(href) === thread) early.delete(href)
  })
  return [FRAME_WRITER]
}

/** The one that was started early, or a new one. */
export function takeThread(module: URL): StartedThread {
  const thread = early.get(module.href)
  early.delete(module.href)
  thread?.worker.ref()
  return thread ?? startThread(module)
}

/** No sink wants one of those that were started early. */
export function dismissEarlyThreads(): void {
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
