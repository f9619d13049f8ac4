import { once } from 'node:events'
import { parentPort } from 'node:worker_threads'
import { toFailureMessage } from '../config/terms/failure.ts'
import { openSharedMemory } from '../dgram-extended/shared-memory.ts'
import { FrameBatch } from '../frames/frame-batch.ts'
import { sourceType } from '../sources/registry.ts'
import { END_OF_SOURCE, type Source } from '../sources/source.ts'
import { Pipeline } from './pipeline.ts'
import { type Choice, CONTROL_STOP, CONTROL_TURNS, type PipelinePlan, type WorkerMessage } from './plan.ts'
import { Settling } from './settling.ts'

/** How long a receive may wait: the longest that a request to stop can go unseen. */
const DEADLINE_MS = 100
/** What is buffered goes to the sinks' threads at least so often, also in a flood. */
const FLUSH_MS = 250
/** So often the worker's event loop gets a turn, also in a flood. */
const TURN_MS = 50
/** A flood that outlasts the request to stop is left behind after this. */
const DRAIN_MS = 2000

/** One worker thread: owns one source and walks its batches, one after another, from left to right. */
class PipelineWorker {
  readonly #plan: PipelinePlan
  readonly #control: Int32Array
  readonly #pipeline: Pipeline
  readonly #batch: FrameBatch
  /** When the request to stop was seen: by the clock that arrival times have, and by one that nobody sets. */
  #stopRequested = 0
  #drainBegan = 0
  /** Batches in a row that ended on a datagram which came after the request to stop. */
  #lateBatches = 0
  #lastFlush = 0
  #lastTurn = 0

  constructor(plan: PipelinePlan, pipeline: Pipeline, batch: FrameBatch) {
    this.#plan = plan
    this.#control = new Int32Array(plan.control)
    this.#pipeline = pipeline
    this.#batch = batch
  }

  async run(): Promise<void> {
    const type = sourceType(this.#plan.source.engine)
    let source: Source | undefined
    try {
      source = await type.open(this.#plan.source, {
        memory: this.#batch.bytes.buffer,
        byteOffset: 0,
        byteLength: type.slabBytes(this.#plan.source),
        peers: this.#pipeline.peers,
        say: (text, level = 'warn') => post({ kind: 'notice', level, text }),
      })
      post({ kind: 'ready', description: source.description, warnings: source.warnings })
      // The program gives up its privileges, and says that it listens, before the first frame can open a file.
      await once(parentPort!, 'message')
      parentPort!.on('message', this.#choose)
      const settling = new Settling(this.#pipeline, source)
      await this.#collect(source, settling)
      await settling.finish()
      this.#askTheKernel(source)
    } finally {
      parentPort!.off('message', this.#choose)
      await source?.close()
      // A source that could not be opened ends the program: the supervisor then abandons the sinks.
      if (source !== undefined) this.#pipeline.close()
    }
    post({ kind: 'finished', problem: source.problem })
  }

  /** Comes when the event loop gets its turn, which is between two batches. */
  readonly #choose = (choice: Choice): void => {
    this.#pipeline.choose(choice)
    post({ kind: 'chosen' })
  }

  async #collect(source: Source, settling: Settling): Promise<void> {
    const { counters } = this.#pipeline
    const { settleMs = 0 } = sourceType(this.#plan.source.engine)
    while (counters.delivered < this.#plan.count) {
      Atomics.add(this.#control, CONTROL_TURNS, 1)
      const maxRows = Math.min(this.#batch.capacity, this.#plan.count - counters.delivered)
      const result = source.receive(this.#batch, maxRows, this.#stopRequested === 0 ? DEADLINE_MS : settleMs)
      const received = typeof result === 'number' ? result : await result
      if (received === END_OF_SOURCE) return
      const drained = this.#drained(received, source.description.length)
      if (received > 0) this.#pipeline.process(this.#batch)
      if (drained) return
      const now = performance.now()
      if (received === 0 || now - this.#lastFlush >= FLUSH_MS) {
        this.#pipeline.flush()
        await settling.look()
        this.#askTheKernel(source)
        this.#lastFlush = now
      }
      if (now - this.#lastTurn >= TURN_MS) {
        await new Promise(setImmediate)
        this.#lastTurn = now
      }
    }
  }

  #askTheKernel(source: Source): void {
    const { counters } = this.#pipeline
    counters.kernelDropped = source.kernelDrops()
    counters.inputBytes = source.position?.() ?? 0
    counters.kernelFreezes = source.freezes?.() ?? 0
    counters.interfaceLosses = source.interfaceLosses?.() ?? 0
  }

  /** After a request to stop: whether all that is still to be taken has been, `received` rows just now. */
  #drained(received: number, sockets: number): boolean {
    if (this.#stopRequested === 0) {
      if (Atomics.load(this.#control, CONTROL_STOP) === 0) return false
      this.#stopRequested = Date.now()
      this.#drainBegan = performance.now()
    }
    const { drain } = sourceType(this.#plan.source.engine)
    if (drain === 'nothing' || received === 0 || performance.now() - this.#drainBegan > DRAIN_MS) return true
    const arrival = this.#batch.seconds[received - 1]! * 1000 + this.#batch.nanoseconds[received - 1]! / 1e6
    // A stamp of the future, beyond the millisecond that the clock leaves out, is from before it was set back: it says nothing.
    const isLate = arrival >= this.#stopRequested && arrival <= Date.now() + 1
    this.#lateBatches = isLate ? this.#lateBatches + 1 : 0
    // Sockets take turns: after so many batches each of them has shown that what it has left is late.
    return drain === 'arrived' && this.#lateBatches >= sockets
  }
}

function post(message: WorkerMessage): void {
  parentPort!.postMessage(message)
}

async function run(plan: PipelinePlan): Promise<void> {
  try {
    const batch = new FrameBatch(openSharedMemory(plan.slab), sourceType(plan.source.engine).batchRows)
    const pipeline = await Pipeline.create(plan, batch, (text) => post({ kind: 'notice', level: 'warn', text }))
    await new PipelineWorker(plan, pipeline, batch).run()
  } catch (error) {
    post({ kind: 'failed', failure: toFailureMessage(error) })
  }
}

parentPort!.once('message', (plan: PipelinePlan) => void run(plan))
