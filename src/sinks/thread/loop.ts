import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { toFailureMessage } from '../../config/terms/failure.ts'
import { openSharedMemory } from '../../dgram-extended/shared-memory.ts'
import type { RecordConsumer } from '../../frames/record-consumer.ts'
import { SinkCounters } from '../../telemetry/counters.ts'
import { type LaneReader, Lanes } from './lanes.ts'
import type { Loan, Repayment } from './loan.ts'
import {
  ABANDONING,
  type Lane,
  type LogLevel,
  REQUEST_END,
  REQUEST_HURRY,
  REQUEST_LANES,
  REQUEST_REOPEN,
  REQUEST_WIRING,
  type ThreadMessage,
  type ThreadWiring,
} from './wiring.ts'

/** Between two looks at the clock and at requests, when nothing comes. */
const IDLE_MS = 100
/** The same where the pipeline writes in its stead: each look takes 0.2 ms, as much as 2000 frames take there. */
const LENT_MS = 250
/**
 * Where each batch comes at once, more are let gather when all that came has been sent: a wake-up for each would cost more than
 * what it brings (UDP to TAP at 500 k/s: 6200 futex calls a second).
 */
const NAP_MS = 1
/** Segments of this many bytes are sent together, so that their memory comes back while more is sent. */
const COMMIT_BYTES = 4 << 20

/** What sends a sink's frames, in the sink's own thread. A method that waits holds up nothing but this sink. */
export interface Sender<Options = unknown> {
  /** True where sending needs the thread's event loop: it then gets turns while nothing comes. */
  readonly usesEventLoop: boolean
  /** Frames sent, the bytes that were, and frames that could not be: totals, read after each commit. */
  readonly written: number
  readonly bytes: number
  readonly failed: number
  /** Frames too long or too short for the target, whatever state it is in. */
  readonly unfit: number
  /** Of the frames written, those that left in several pieces, and these; absent = none ever. */
  readonly segmented?: number
  readonly segments?: number
  /** At the end: frames that the next run will send; absent = none ever. */
  readonly spooled?: number
  /** Opens what can be opened before the first frame. @throws Failure */
  open(): void | Promise<void>
  /** What is added next comes through this lane, until another is named; what was added before has been committed. */
  use?(lane: Lane<Options>): void
  /** No more comes through this lane. */
  leave?(lane: Lane<Options>): void
  /** Takes the segment that the consumer's fields describe. Its bytes are borrowed until commit() is done. */
  add(consumer: RecordConsumer): void
  /** Sends what was added. Trouble with the target is counted and said, never thrown. */
  commit(): void | Promise<void>
  /** What may be lent until the next call of a method, where there is such a thing now; see Loan. */
  lend?(): Loan | undefined
  /** The loan has come back. */
  repaid?(repayment: Repayment): void
  /** Called between commits, and every 100 ms while nothing comes, 250 while something is lent. */
  tick(): void | Promise<void>
  /** SIGHUP. */
  reopen(): void
  /** No frame follows. */
  close(): void | Promise<void>
  /** The pipeline never began: as close(), and what was made for it is taken away again. */
  discard(): void | Promise<void>
}

/** What a sender may use of its thread. */
export class SinkThread<Options> {
  readonly wiring: ThreadWiring<Options>
  /** The memory in which the segments lie. */
  readonly slab: Uint8Array
  readonly #requests: Int32Array

  constructor(wiring: ThreadWiring<Options>, openSlab: typeof openSharedMemory) {
    this.wiring = wiring
    this.slab = new Uint8Array(openSlab(wiring.slab))
    this.#requests = new Int32Array(wiring.requests)
  }

  /** Whether the program is to end: waiting for a target that does not move is over soon. */
  get isHurried(): boolean {
    return Atomics.load(this.#requests, REQUEST_HURRY) === 1
  }

  get reopenRequests(): number {
    return Atomics.load(this.#requests, REQUEST_REOPEN)
  }

  /** Lanes that were attached so far. */
  get laneRequests(): number {
    return Atomics.load(this.#requests, REQUEST_LANES)
  }

  /** No lane follows. */
  get isEnding(): boolean {
    return Atomics.load(this.#requests, REQUEST_END) !== 0
  }

  /** The pipeline never began. */
  get isAbandoned(): boolean {
    return Atomics.load(this.#requests, REQUEST_END) === ABANDONING
  }

  /** Sleeps up to `milliseconds`, fractions count; shorter when the program is to end. */
  sleep(milliseconds: number): void {
    Atomics.wait(this.#requests, REQUEST_HURRY, 0, milliseconds)
  }

  log(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    post({ kind: 'log', level, message, fields })
  }

  /** Nothing can be delivered any more: asks the program to stop, unless other sinks go on. */
  ended(reason: string): void {
    post({ kind: 'ended', reason })
  }
}

/** The thread's program: takes records out of the queue until it is closed. `openSlab`: what the sender does with the memory decides. */
export function runSender<Options>(
  create: (thread: SinkThread<Options>) => Sender<Options>,
  openSlab: typeof openSharedMemory = openSharedMemory,
): void {
  const thread = new SinkThread(firstMessage() as ThreadWiring<Options>, openSlab)
  // The event loop would let a thread end whose only hope is Atomics.waitAsync.
  const alive = setInterval(() => {}, IDLE_MS)
  run(thread, create)
    .catch((error: unknown) => post({ kind: 'failed', ...toFailureMessage(error) }))
    .finally(() => clearInterval(alive))
}

/** No event: those behind it are lanes, which are asked for. */
function firstMessage(): unknown {
  Atomics.wait(workerData as Int32Array, REQUEST_WIRING, 0)
  return receiveMessageOnPort(parentPort!)!.message
}

async function run<Options>(
  thread: SinkThread<Options>,
  create: (thread: SinkThread<Options>) => Sender<Options>,
): Promise<void> {
  const sender = create(thread)
  const lanes = new Lanes(thread)
  const counters = new SinkCounters(thread.wiring.counters)
  let reopened = 0
  let current: LaneReader<Options> | undefined
  let mayNap = false
  await sender.open()
  post({ kind: 'ready' })
  for (;;) {
    const isEnding = thread.isEnding
    lanes.adopt()
    const next = lanes.next()
    if (next !== undefined) {
      if (next !== current) sender.use?.(next.lane)
      current = next
      addSome(sender, lanes, next)
      await sender.commit()
      next.consumer.release()
      report(sender, counters)
      mayNap = next.lane.prompt && !sender.usesEventLoop
    }
    for (const { lane, frames } of lanes.finished()) {
      sender.leave?.(lane)
      post({ kind: 'drained', lane: lane.id, frames })
    }
    if (isEnding && lanes.areOver) break
    if (thread.reopenRequests !== reopened) sender.reopen()
    reopened = thread.reopenRequests
    await sender.tick()
    // What has gone out meanwhile.
    if (sender.usesEventLoop) report(sender, counters)
    if (next !== undefined) continue
    if (sender.usesEventLoop) await lanes.sleepInEventLoop(IDLE_MS)
    else if (mayNap) thread.sleep(NAP_MS)
    else sleepLending(sender, lanes, counters)
    mayNap = false
  }
  if (thread.isAbandoned) await sender.discard()
  else await sender.close()
  report(sender, counters)
}

/** Sleeps until something comes. A single pipeline may use the sender's file meanwhile. */
function sleepLending<Options>(sender: Sender<Options>, lanes: Lanes<Options>, counters: SinkCounters): void {
  const reader = lanes.only
  const loan = reader?.lender && sender.lend?.()
  if (reader?.lender === undefined || loan === undefined) {
    lanes.sleep(IDLE_MS)
    return
  }
  reader.lender.offer(loan)
  lanes.sleep(LENT_MS)
  const repayment = reader.lender.recall(() => reader.consumer.closed())
  reader.frames += repayment.frames
  sender.repaid?.(repayment)
  report(sender, counters)
}

function report(sender: Sender<never>, counters: SinkCounters): void {
  counters.setSent(sender.written, sender.bytes, sender.failed, sender.unfit, sender.spooled)
  if (sender.segmented !== undefined) counters.setSegmented(sender.segmented, sender.segments!)
}

function addSome<Options>(sender: Sender<Options>, lanes: Lanes<Options>, reader: LaneReader<Options>): void {
  const { consumer } = reader
  for (let bytes = 0; bytes < COMMIT_BYTES && lanes.mayGoOn(reader) && consumer.take(); ) {
    sender.add(consumer)
    reader.frames += consumer.frames
    bytes += consumer.end - consumer.start
  }
}

function post(message: ThreadMessage): void {
  parentPort!.postMessage(message)
}
