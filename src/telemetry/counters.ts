import { OK, VERDICTS } from '../wire/verdict.ts'

const RECEIVED = 0
const KERNEL_DROPPED = 1
const DELIVERED = 2
const HELD = 3
const CUT_AT_SOURCE = 4
const KERNEL_FREEZES = 5
const INTERFACE_LOSSES = 6
const FORGOTTEN = 7
const RECEIVED_BYTES = 8
const DELIVERED_BYTES = 9
const INPUT_BYTES = 10
const FIRST_VERDICT = 11
const PIPELINE_WORDS = FIRST_VERDICT + VERDICTS.length

/**
 * A pipeline's accounting in shared memory: one thread writes, any may read. Doubles, which are exact up to 2^53 and
 * cost 2 ns to add to; an atomic add costs 11 ns (measured).
 */
export class PipelineCounters {
  readonly memory: SharedArrayBuffer
  readonly #words: Float64Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(PIPELINE_WORDS * 8)) {
    this.memory = memory
    this.#words = new Float64Array(memory)
  }

  /** What several pipelines have counted together, now. */
  static sum(parts: readonly PipelineCounters[]): PipelineCounters {
    const total = new PipelineCounters()
    for (const part of parts) addWords(total.#words, part.#words)
    return total
  }

  get received(): number {
    return this.#words[RECEIVED]!
  }

  /** Frames handed to the sinks. */
  get delivered(): number {
    return this.#words[DELIVERED]!
  }

  /** Packets that the kernel received for us and dropped before we could read them. */
  get kernelDropped(): number {
    return this.#words[KERNEL_DROPPED]!
  }

  set kernelDropped(total: number) {
    this.#words[KERNEL_DROPPED] = total
  }

  /** How often a packet ring was full, and the kernel waited for room in it. */
  get kernelFreezes(): number {
    return this.#words[KERNEL_FREEZES]!
  }

  set kernelFreezes(total: number) {
    this.#words[KERNEL_FREEZES] = total
  }

  /** How often an interface that a packet ring listens on went away or down. */
  get interfaceLosses(): number {
    return this.#words[INTERFACE_LOSSES]!
  }

  set interfaceLosses(total: number) {
    this.#words[INTERFACE_LOSSES] = total
  }

  /** Fragments that wait for others: neither delivered nor dropped yet. */
  set held(pieces: number) {
    this.#words[HELD] = pieces
  }

  /** Frames delivered or not that had been cut before they were put into their tunnel. */
  get cutAtSource(): number {
    return this.#words[CUT_AT_SOURCE]!
  }

  addCutAtSource(frames: number): void {
    this.#words[CUT_AT_SOURCE]! += frames
  }

  /** Frames that --dedup had no room to remember for all of its window. */
  get forgotten(): number {
    return this.#words[FORGOTTEN]!
  }

  addForgotten(frames: number): void {
    this.#words[FORGOTTEN]! += frames
  }

  addReceived(frames: number): void {
    this.#words[RECEIVED]! += frames
  }

  addDelivered(frames: number): void {
    this.#words[DELIVERED]! += frames
  }

  /** Lengths on the wire of the packets received, as the source gives them: a UDP socket without outer headers. */
  get receivedBytes(): number {
    return this.#words[RECEIVED_BYTES]!
  }

  addReceivedBytes(bytes: number): void {
    this.#words[RECEIVED_BYTES]! += bytes
  }

  /** Lengths on the wire of the frames delivered. */
  get deliveredBytes(): number {
    return this.#words[DELIVERED_BYTES]!
  }

  addDeliveredBytes(bytes: number): void {
    this.#words[DELIVERED_BYTES]! += bytes
  }

  /** Bytes of the input file that have been read, compressed as they are there. */
  get inputBytes(): number {
    return this.#words[INPUT_BYTES]!
  }

  set inputBytes(total: number) {
    this.#words[INPUT_BYTES] = total
  }

  addVerdict(verdict: number, frames: number): void {
    this.#words[FIRST_VERDICT + verdict]! += frames
  }

  /** Reason -> frames, of the reasons that occurred. */
  dropped(): Record<string, number> {
    const result: Record<string, number> = {}
    for (let verdict = OK + 1; verdict < VERDICTS.length; verdict++) {
      const frames = this.#words[FIRST_VERDICT + verdict]!
      if (frames > 0) result[VERDICTS[verdict]!] = frames
    }
    return result
  }

  /** What was received and has come to no end: 0 whenever the pipeline is between two batches. */
  balance(): number {
    let ended = this.delivered + this.#words[HELD]!
    for (const frames of Object.values(this.dropped())) ended += frames
    return this.received - ended
  }
}

const OFFERED = 0
const NOT_SELECTED = 1
const OVERFLOW = 2
const WRITTEN = 3
const BYTES = 4
const ERROR = 5
const UNFIT = 6
const SPOOLED = 7
const OTHER_LINK_TYPE = 8
const SEGMENTED = 9
const SEGMENTS = 10
const LOST = 11
const DELIVERED_BEFORE = 12
const SINK_WORDS = 13

/**
 * A part of a sink's accounting: each worker's half in the pipeline has one, which counts what it was offered and what did
 * not get into the queue, and the half that sends has one, which counts what became of the rest. See SinkAccount.
 */
export class SinkCounters {
  readonly memory: SharedArrayBuffer
  readonly #words: Float64Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(SINK_WORDS * 8)) {
    this.memory = memory
    this.#words = new Float64Array(memory)
  }

  static sum(parts: Iterable<SinkCounters>): SinkCounters {
    const total = new SinkCounters()
    for (const part of parts) addWords(total.#words, part.#words)
    return total
  }

  get offered(): number {
    return this.#words[OFFERED]!
  }

  get written(): number {
    return this.#words[WRITTEN]!
  }

  /** Bytes sent, as the sink's kind counts them: for files everything that is in them. */
  get bytes(): number {
    return this.#words[BYTES]!
  }

  /** Frames that went into the queue. Exact in the pipeline's thread. */
  get taken(): number {
    const words = this.#words
    return words[OFFERED]! - words[NOT_SELECTED]! - words[OTHER_LINK_TYPE]! - words[OVERFLOW]!
  }

  /** Of those, in order, the ones that have come to their end. */
  get ended(): number {
    return this.#words[WRITTEN]! + this.#words[ERROR]! + this.#words[UNFIT]! + this.#words[SPOOLED]!
  }

  addOffered(frames: number): void {
    this.#words[OFFERED]! += frames
  }

  addNotSelected(frames: number): void {
    this.#words[NOT_SELECTED]! += frames
  }

  addOtherLinkType(frames: number): void {
    this.#words[OTHER_LINK_TYPE]! += frames
  }

  /** Frames that found the queue full. */
  get overflow(): number {
    return this.#words[OVERFLOW]!
  }

  addOverflow(frames: number): void {
    this.#words[OVERFLOW]! += frames
  }

  /** Frames that a worker was about to hand over when it died. */
  addLost(frames: number): void {
    this.#words[LOST]! += frames
  }

  /** What the pipeline had delivered when this part came to be. */
  set deliveredBefore(frames: number) {
    this.#words[DELIVERED_BEFORE] = frames
  }

  get deliveredBefore(): number {
    return this.#words[DELIVERED_BEFORE]!
  }

  /** The sending half reports totals, which replace the ones before. */
  setSent(written: number, bytes: number, failed: number, unfit: number = 0, spooled: number = 0): void {
    this.#words[WRITTEN] = written
    this.#words[BYTES] = bytes
    this.#words[ERROR] = failed
    this.#words[UNFIT] = unfit
    this.#words[SPOOLED] = spooled
  }

  /** Of the frames written, those that left in segments, and the segments: totals, as above. */
  setSegmented(frames: number, segments: number): void {
    this.#words[SEGMENTED] = frames
    this.#words[SEGMENTS] = segments
  }

  get segmented(): number {
    return this.#words[SEGMENTED]!
  }

  get segments(): number {
    return this.#words[SEGMENTS]!
  }

  addFailed(frames: number): void {
    this.#words[ERROR]! += frames
  }

  dropped(): Record<string, number> {
    const result: Record<string, number> = {}
    const reasons: [string, number][] = [
      ['not-selected', this.#words[NOT_SELECTED]!],
      ['link-type', this.#words[OTHER_LINK_TYPE]!],
      ['sink-overflow', this.#words[OVERFLOW]!],
      ['frame-size', this.#words[UNFIT]!],
      ['spooled', this.#words[SPOOLED]!],
      ['worker-died', this.#words[LOST]!],
      ['sink-error', this.#words[ERROR]!],
    ]
    for (const [reason, frames] of reasons) if (frames > 0) result[reason] = frames
    return result
  }

  /** Frames that were offered and have come to no end: those in the queue; 0 once the sink is closed. */
  balance(): number {
    let ended = this.written
    for (const frames of Object.values(this.dropped())) ended += frames
    return this.#words[OFFERED]! - ended
  }
}

function addWords(total: Float64Array, part: Float64Array): void {
  for (let i = 0; i < total.length; i++) total[i]! += part[i]!
}
