import { once } from 'node:events'
import { parentPort } from 'node:worker_threads'
import { toFailureMessage } from '../config/terms/failure.ts'
import { copierOf, openSharedMemory } from '../dgram-extended/shared-memory.ts'
import { FrameBatch } from '../frames/frame-batch.ts'
import { sourceType } from '../sources/registry.ts'
import { END_OF_SOURCE, type NoticeLevel, type Source, type SourceType } from '../sources/source.ts'
import { FrameBudget } from './frame-budget.ts'
import { holdBack } from './hold-back.ts'
import { openOutlet, Pipeline } from './pipeline.ts'
import {
  CONTROL_STOP,
  CONTROL_TURNS,
  CONTROL_WRITES,
  type PipelinePlan,
  type WorkerChoice,
  type WorkerMessage,
  type WorkerRefit,
} from './plan.ts'
import { Settling } from './settling.ts'
import { openLoops } from './source-room.ts'

/** How long a receive may wait: the longest that a request to stop can go unseen. */
const DEADLINE_MS = 100
/** What is buffered goes to the sinks' threads at least so often, also in a flood. */
const FLUSH_MS = 250
/** So often the worker's event loop gets a turn, also in a flood. */
const TURN_MS = 100
/** Until a worker looks again whether others have left it some of --count. */
const NAP_MS = 1
/**
 * V8 takes functions into the one that calls them until so much bytecode has come together, 920 by default: less than the
 * steps of a frame. With this a frame's way through them takes 10 to 16 ns less. It takes V8 a tenth of a second longer to get
 * there, which a capture file does not give back, nor do frames that take the fast path. Where there is one, those that it leaves
 * to the steps (IPv6 outside, another encapsulation) go without.
 */
const LONG_RUN_FLAG = '--max-inlined-bytecode-size-cumulative=4000'
/**
 * V8 (11.3) compiles a function once it has run so much bytecode, 67584 by default. What the worker runs once for a batch, a few hundred times a
 * second, would stay uncompiled for long.
 */
const SOON_FLAG = '--interrupt-budget=20000'
/** A flood that outlasts the request to stop is left behind after this. */
const DRAIN_MS = 2000

/** One worker thread: owns one source and walks its batches, one after another, from left to right. */
class PipelineWorker {
  readonly #plan: PipelinePlan
  readonly #type: SourceType
  readonly #control: Int32Array
  readonly #pipeline: Pipeline
  readonly #batch: FrameBatch
  /** Undefined = as many as come. */
  readonly #budget: FrameBudget | undefined
  /** What a worker that died before this one had counted. */
  readonly #before: { readonly drops: number; readonly freezes: number; readonly losses: number }
  #isOver = false
  /** When the request to stop was seen: by the clock that arrival times have, and by one that nobody sets. */
  #stopRequested = 0
  #drainBegan = 0
  /** Batches in a row that ended on a datagram which came after the request to stop. */
  #lateBatches = 0
  #lastFlush = 0
  #lastTurn = 0

  constructor(plan: PipelinePlan, pipeline: Pipeline, batch: FrameBatch) {
    this.#plan = plan
    this.#type = sourceType(plan.source.engine)
    this.#control = new Int32Array(plan.control)
    // A worker before this one may have died in a write.
    Atomics.store(this.#control, CONTROL_WRITES, 0)
    this.#pipeline = pipeline
    this.#batch = batch
    if (plan.budget !== undefined) this.#budget = new FrameBudget(plan.budget, plan.worker)
    const { kernelDropped, kernelFreezes, interfaceLosses } = pipeline.counters
    const isHeir = plan.source.legacy !== undefined
    const [drops, freezes] = isHeir ? [0, 0] : [kernelDropped, kernelFreezes]
    this.#before = { drops, freezes, losses: interfaceLosses }
  }

  async run(): Promise<void> {
    const type = this.#type
    const source = await type.open(this.#plan.source, {
      memory: this.#batch.bytes.buffer,
      byteOffset: this.#plan.byteOffset,
      byteLength: type.slabBytes(this.#plan.source),
      loops: this.#batch.loops,
      peers: this.#pipeline.peers,
      say,
    })
    let hasEnded = false
    try {
      const { description, warnings, group, legacy } = source
      post({ kind: 'ready', description, warnings, group, legacy })
      // The program gives up its privileges, and says that it listens, before the first frame can open a file.
      await once(parentPort!, 'message')
      parentPort!.on('message', this.#heed)
      const settling = new Settling(this.#pipeline, source)
      await this.#collect(source, settling)
      await settling.finish()
      this.#askTheKernel(source)
      hasEnded = true
    } finally {
      this.#isOver = true
      parentPort!.off('message', this.#heed)
      // After a failure a successor may go on with what is open.
      if (hasEnded || source.legacy === undefined) await source.close()
      this.#pipeline.close()
    }
    post({ kind: 'finished', problem: source.problem })
  }

  /** Comes when the event loop gets its turn, which is between two batches. */
  readonly #heed = async (message: WorkerChoice | WorkerRefit): Promise<void> => {
    if ('refitted' in message) {
      const putInPlace = await this.#pipeline.refit(message, say)
      if (!this.#isOver) putInPlace()
    } else await this.#choose(message)
  }

  async #choose(choice: WorkerChoice): Promise<void> {
    const added = await Promise.all(choice.added.map((sink) => openOutlet(sink, say)))
    if (this.#isOver) return
    this.#pipeline.choose(choice, added)
    post({ kind: 'chosen' })
  }

  async #collect(source: Source, settling: Settling): Promise<void> {
    const { counters } = this.#pipeline
    while (this.#budget?.isSpent(this.#plan.count) !== true) {
      Atomics.add(this.#control, CONTROL_TURNS, 1)
      const result = this.#receive(source)
      const received = typeof result === 'number' ? result : await result
      if (received === END_OF_SOURCE) return
      const drained = this.#drained(received, source.description.length)
      if (received > 0) {
        // Now, as sinks that take nothing may hold up the turn for ever.
        counters.inputBytes = source.position?.() ?? 0
        holdBack(this.#pipeline.onlySink, source)
        this.#pipeline.process(this.#batch)
        this.#writeHere(source, false)
      }
      this.#budget?.settle(counters.delivered)
      if (drained) return
      const now = performance.now()
      if (received === 0 || now - this.#lastFlush >= FLUSH_MS) {
        this.#writeHere(source, true)
        this.#pipeline.flush()
        source.letWait?.(!this.#pipeline.isWatched)
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

  /** A sink alone may be sent to from here, while the source has room for what comes meanwhile. */
  #writeHere(source: Source, isAll: boolean): void {
    const sink = this.#pipeline.onlySink
    if (sink?.writeHere === undefined || source.mayWrite?.() !== true) return
    Atomics.store(this.#control, CONTROL_WRITES, 1)
    sink.writeHere(this.#batch.bytes, isAll)
    Atomics.store(this.#control, CONTROL_WRITES, 0)
  }

  #receive(source: Source): number | Promise<number> {
    const { count, workers } = this.#plan
    const waitMs = this.#stopRequested === 0 ? DEADLINE_MS : (this.#type.settleMs ?? 0)
    if (this.#budget === undefined) return source.receive(this.#batch, this.#batch.capacity, waitMs)
    const maxRows = this.#budget.claim(this.#batch.capacity, this.#pipeline.counters.delivered)
    if (workers === 1) return source.receive(this.#batch, maxRows, waitMs)
    const received = maxRows === 0 ? 0 : source.receive(this.#batch, maxRows, 0)
    if (received !== 0 || this.#budget.isSpent(count)) return received
    // Nobody waits with a claim in hand, which others may have frames for.
    this.#budget.settle(this.#pipeline.counters.delivered)
    if (maxRows === 0) Atomics.wait(PILLOW, 0, 0, NAP_MS)
    return maxRows === 0 ? 0 : source.receive(this.#batch, 0, waitMs)
  }

  #askTheKernel(source: Source): void {
    const { counters } = this.#pipeline
    const { drops, freezes, losses } = this.#before
    counters.kernelDropped = drops + source.kernelDrops()
    counters.kernelFreezes = freezes + (source.freezes?.() ?? 0)
    counters.interfaceLosses = losses + (source.interfaceLosses?.() ?? 0)
  }

  /** After a request to stop: whether all that is still to be taken has been, `received` rows just now. */
  #drained(received: number, sockets: number): boolean {
    if (this.#stopRequested === 0) {
      if (Atomics.load(this.#control, CONTROL_STOP) === 0) return false
      this.#stopRequested = Date.now()
      this.#drainBegan = performance.now()
    }
    const { drain } = this.#type
    if (drain === 'nothing' || received === 0 || performance.now() - this.#drainBegan > DRAIN_MS) return true
    const arrival = this.#batch.seconds[received - 1]! * 1000 + this.#batch.nanoseconds[received - 1]! / 1e6
    // A stamp of the future, beyond the millisecond that the clock leaves out, is from before it was set back: it says nothing.
    const isLate = arrival >= this.#stopRequested && arrival <= Date.now() + 1
    this.#lateBatches = isLate ? this.#lateBatches + 1 : 0
    // Sockets take turns: after so many batches each of them has shown that what it has left is late.
    return drain === 'arrived' && this.#lateBatches >= sockets
  }
}

/** Nobody wakes who waits on it. */
const PILLOW: Int32Array = new Int32Array(new SharedArrayBuffer(4))

function post(message: WorkerMessage): void {
  parentPort!.postMessage(message)
}

function say(text: string, level: NoticeLevel = 'warn'): void {
  post({ kind: 'notice', level, text })
}

async function run(plan: PipelinePlan): Promise<void> {
  try {
    const { canWait, batchRows } = sourceType(plan.source.engine)
    const memory = openSharedMemory(plan.slab)
    const batch = new FrameBatch(memory, batchRows, { copy: copierOf(plan.slab), loops: openLoops(plan, memory) })
    const pipeline = await Pipeline.create(plan, batch, say)
    if (canWait !== true) {
      const { setFlagsFromString } = process.getBuiltinModule('node:v8')
      setFlagsFromString(SOON_FLAG)
      if (!pipeline.hasFastPath) setFlagsFromString(LONG_RUN_FLAG)
    }
    await new PipelineWorker(plan, pipeline, batch).run()
  } catch (error) {
    post({ kind: 'failed', failure: toFailureMessage(error) })
  }
}

// One that cannot be loaded is told of when the plan asks for it.
for (const likely of process.argv.slice(2)) import(likely).catch(() => {})
// No native code before there is a plan: an error in the command line terminates the worker, and Node aborts when that
// comes while it loads some (tried: one start in 25).
parentPort!.once('message', (plan: PipelinePlan) => void run(plan))
