import type { FilterProgram } from '../dgram-extended/libpcap.ts'
import type { FrameFilter } from '../frames/bpf.ts'
import { createFilter } from '../frames/bpf-compiler.ts'
import { Fingerprint } from '../frames/fingerprint.ts'
import { Flow } from '../frames/flow.ts'
import { flowHash } from '../frames/flow-hash.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import { RecentFrames } from '../frames/recent-frames.ts'
import type { PipelineCounters } from '../telemetry/counters.ts'
import { DUPLICATE, FILTERED, OK, SAMPLED, type Verdict } from '../wire/verdict.ts'
import type { Step } from './step.ts'

/** Which of the frames that were let in are wanted; undefined = all. */
export interface SelectOptions {
  /** Compiled for Ethernet, which all frames still have here. */
  readonly filter?: FilterProgram | undefined
  /** One flow of so many. */
  readonly sample?: number | undefined
  /** One of the copies of a frame that come within so many milliseconds. */
  readonly dedup?: number | undefined
}

const FLOW_HASHES = 2 ** 32

/** Leaves out the frames that the user does not want, while all that arrived of them is still there to judge by. */
export class SelectStep implements Step {
  #filter: FrameFilter | undefined
  /** Flows with a hash below this are kept: those of 1/100 are among those of 1/10. */
  #sampledBelow: number = FLOW_HASHES
  readonly #flow: Flow = new Flow()
  readonly #recent: RecentFrames | undefined
  readonly #fingerprint: Fingerprint
  readonly #counters: PipelineCounters

  /** `batch`: whose memory the frames lie in. */
  constructor(options: SelectOptions, batch: Pick<FrameBatch, 'bytes' | 'view'>, counters: PipelineCounters) {
    this.choose(options)
    if (options.dedup !== undefined) this.#recent = new RecentFrames(options.dedup)
    // The global, as importing node:crypto takes every start 5 ms.
    const seed = options.dedup === undefined ? 0 : crypto.getRandomValues(new Int32Array(1))[0]!
    this.#fingerprint = new Fingerprint(batch.view, batch.bytes, seed)
    this.#counters = counters
  }

  /** Wants other frames from now on; which copies were seen is kept. */
  choose({ filter, sample = 1 }: Pick<SelectOptions, 'filter' | 'sample'>): void {
    this.#filter = filter && createFilter(filter.instructions)
    this.#sampledBelow = Math.ceil(FLOW_HASHES / sample)
  }

  /** Whether it leaves nothing out. */
  get takesAll(): boolean {
    return this.#filter === undefined && this.#sampledBelow === FLOW_HASHES && this.#recent === undefined
  }

  /** The cheapest first; what was left out needs no remembering. */
  judge(batch: FrameBatch, row: number): Verdict {
    if (this.#filter !== undefined && !this.#passes(batch, row, this.#filter)) return FILTERED
    if (this.#sampledBelow < FLOW_HASHES && !this.#isInSample(batch, row)) return SAMPLED
    if (this.#recent !== undefined && this.#isDuplicate(batch, row, this.#recent)) return DUPLICATE
    return OK
  }

  #passes(batch: FrameBatch, row: number, filter: FrameFilter): boolean {
    return filter(batch.bytes, batch.offset[row]!, batch.captured[row]!, batch.wireLength[row]!)
  }

  #isInSample(batch: FrameBatch, row: number): boolean {
    this.#flow.decode(batch.bytes, batch.offset[row]!, batch.captured[row]!, batch.linkType[row]!)
    return flowHash(this.#flow, batch.bytes) < this.#sampledBelow
  }

  #isDuplicate(batch: FrameBatch, row: number, recent: RecentFrames): boolean {
    const { low, high } = this.#take(batch, row)
    const before = recent.forgotten
    const known = recent.hasOrAdd(low, high, batch.seconds[row]!, batch.nanoseconds[row]!)
    if (recent.forgotten !== before) this.#counters.addForgotten(1)
    return known
  }

  #take(batch: FrameBatch, row: number): Fingerprint {
    this.#fingerprint.take(
      batch.offset[row]!,
      batch.captured[row]!,
      batch.wireLength[row]!,
      batch.linkType[row]!,
      batch.tunnelId[row]!,
    )
    return this.#fingerprint
  }
}
