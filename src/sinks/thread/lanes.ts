import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { Bell } from '../../frames/bell.ts'
import { RecordConsumer } from '../../frames/record-consumer.ts'
import { Lender } from './loan.ts'
import type { SinkThread } from './loop.ts'
import type { Lane } from './wiring.ts'

/**
 * Several workers flush their queues at different times, up to a quarter of a second apart: a segment that begins a new
 * second waits so long for what other lanes still have of the one before, so that rotation by time finds frames in order.
 */
const STEP_MS = 300

/** A lane from its reader's side. */
export interface LaneReader<Options> {
  readonly lane: Lane<Options>
  readonly consumer: RecordConsumer
  /** Where the sink may lend its file. */
  readonly lender: Lender | undefined
  /** Frames that came through it. */
  frames: number
}

/** The queues that a sink's thread empties, one from each worker, in turn. */
export class Lanes<Options> {
  readonly #thread: SinkThread<Options>
  readonly #bell: Bell
  readonly #readers: LaneReader<Options>[] = []
  /** Lanes that have come so far. */
  #adopted = 0
  /** Which reader had the last turn. */
  #last = 0
  /** The latest second that was let through. */
  #second = 0
  /** Since when a segment of a later second waits; 0 = none does. */
  #waitsSince = 0

  constructor(thread: SinkThread<Options>) {
    this.#thread = thread
    this.#bell = new Bell(thread.wiring.bell)
  }

  get areOver(): boolean {
    return this.#readers.length === 0 && this.#adopted === this.#thread.laneRequests
  }

  /** The only one that there is. */
  get only(): LaneReader<Options> | undefined {
    return this.#readers.length === 1 ? this.#readers[0] : undefined
  }

  /** Takes up lanes that were attached. */
  adopt(): void {
    while (this.#adopted < this.#thread.laneRequests) {
      const lane = (receiveMessageOnPort(parentPort!) as { message: Lane<Options> } | undefined)?.message
      if (lane === undefined) return
      const consumer = new RecordConsumer(lane.queue, this.#thread.slab)
      const lender = lane.loan && new Lender(lane.loan)
      this.#readers.push({ lane, consumer, lender, frames: 0 })
      this.#adopted++
    }
  }

  /** The lane that has the next turn; undefined when nothing is to be taken now. */
  next(): LaneReader<Options> | undefined {
    const readers = this.#readers
    if (readers.length === 1) return readers[0]!.consumer.isEmpty() ? undefined : readers[0]
    let best: LaneReader<Options> | undefined
    let isOneEmpty = false
    for (let turn = 1; turn <= readers.length; turn++) {
      const reader = readers[(this.#last + turn) % readers.length]!
      // What a worker that died had handed over goes in front of what its successor does.
      if (readers.find(({ lane }) => lane.worker === reader.lane.worker) !== reader) continue
      if (reader.consumer.isEmpty()) isOneEmpty ||= !reader.consumer.closed()
      else if (best === undefined || reader.consumer.nextSecond() < best.consumer.nextSecond()) best = reader
    }
    if (best === undefined || (isOneEmpty && this.#mustWait(best.consumer.nextSecond()))) return undefined
    this.#waitsSince = 0
    this.#second = Math.max(this.#second, best.consumer.nextSecond())
    this.#last = readers.indexOf(best)
    return best
  }

  /** Whether the reader may go on, as far as the other lanes are concerned. */
  mayGoOn({ consumer }: LaneReader<Options>): boolean {
    return this.#readers.length === 1 || consumer.isEmpty() || consumer.nextSecond() <= this.#second
  }

  /** Lanes that are closed and empty, which are none of ours any more. */
  finished(): LaneReader<Options>[] {
    // Closed is asked first: what was published before shows then.
    const over = this.#readers.filter(({ consumer }) => consumer.closed() && consumer.isEmpty())
    for (const reader of over) this.#readers.splice(this.#readers.indexOf(reader), 1)
    return over
  }

  /** Sleeps until something comes or is asked for, at most `milliseconds`. */
  sleep(milliseconds: number): void {
    this.#bell.wait(this.#limit(milliseconds), this.#isIdle)
  }

  async sleepInEventLoop(milliseconds: number): Promise<void> {
    await this.#bell.waitInEventLoop(this.#limit(milliseconds), this.#isIdle)
  }

  readonly #isIdle = (): boolean => {
    if (this.#thread.isEnding || this.#adopted !== this.#thread.laneRequests) return false
    return this.#readers.every(({ consumer }) => (consumer.isEmpty() ? !consumer.closed() : this.#waitsSince > 0))
  }

  /** While a segment waits, other lanes are looked at again soon. */
  #limit(milliseconds: number): number {
    return this.#waitsSince > 0 ? Math.min(milliseconds, STEP_MS / 10) : milliseconds
  }

  #mustWait(second: number): boolean {
    if (second <= this.#second) return false
    const now = performance.now()
    if (this.#waitsSince === 0) this.#waitsSince = now
    return now - this.#waitsSince < STEP_MS
  }
}
