import type { FrameBatch } from '../frames/frame-batch.ts'
import {
  GRANULARITY_IEEE_1588,
  GRANULARITY_USER,
  type TunnelNotes,
  UPPER_ABSENT,
  UPPER_SECONDS,
} from '../wire/tunnel-notes.ts'

const NANOSECONDS = 1e9
const WORD = 2 ** 32
/** Nanoseconds of a tick, by granularity. What users define is taken for nanoseconds, as FMADIO does, for as long as that fits. */
const TICK_NANOSECONDS: readonly number[] = [100_000, 100, 1, 1]
/** A clock that differs by more from what the time since its last frame lets expect was set: it gets a new reference. */
const STEP_NANOSECONDS = 10 * NANOSECONDS
/**
 * Ticks that users define are no nanoseconds when they part further from the arrivals than frames are late, and clocks are
 * wrong. Switches are known whose ticks are 2.4 ns (tcpdump's erspan-type-iii-ft-0.pcap).
 */
const UNFIT_NANOSECONDS = 0.1 * NANOSECONDS
const UNFIT_SHARE = 0.01
/** Stands for a kind: nobody knows what the session's stamps count. */
const UNKNOWN_UNIT = 255
/** Seconds that a clock with a date may be ahead of UTC: not at all, or as TAI, PTP's own scale, is since 2017 (IERS Bulletin C). */
const SCALES: readonly number[] = [0, 37]

/**
 * The clocks by which mirrors stamp their frames, one for each session.
 *
 * Most are cut to 32 bits, which end after 4 s to 5 days, and tell no date. So the first frame of a session sets its clock
 * to that frame's arrival, from where the mirror's stamps are counted; which time round they are, the time between
 * arrivals tells. A frame that comes late keeps its own, earlier time.
 *
 * Only IEEE 1588 with seconds beside its nanoseconds has a date, if somebody has set that clock: it counts where it is
 * close to the first arrival in UTC or TAI, which the header does not tell apart. The upper words of platforms 3 and 7
 * (and 0) continue a count from no stated beginning.
 */
export class SourceClocks {
  /** Granularity and kind of the upper word, plus 1; 0 = no frame yet. */
  readonly #kind: Uint8Array
  /** IEEE 1588 nanoseconds end with the second, unless a larger number shows that they fill all 32 bits. */
  readonly #isWide: Uint8Array
  readonly #seconds: Float64Array
  readonly #nanoseconds: Float64Array
  readonly #time: Float64Array
  readonly #upperTime: Float64Array
  /** Of the latest frame, nanoseconds since the first: by the mirror's clock, and by its arrival. */
  readonly #lastStamp: Float64Array
  readonly #lastArrival: Float64Array

  constructor(sessions: number) {
    this.#kind = new Uint8Array(sessions)
    this.#isWide = new Uint8Array(sessions)
    this.#seconds = new Float64Array(sessions)
    this.#nanoseconds = new Float64Array(sessions)
    this.#time = new Float64Array(sessions)
    this.#upperTime = new Float64Array(sessions)
    this.#lastStamp = new Float64Array(sessions)
    this.#lastArrival = new Float64Array(sessions)
  }

  /** Gives the row the time of its mirror. */
  stamp(session: number, notes: TunnelNotes, batch: FrameBatch, row: number): void {
    if (this.#kind[session] === UNKNOWN_UNIT) return
    const kind = 1 + notes.granularity * 3 + notes.upper
    if (this.#kind[session] !== kind) {
      this.#begin(session, kind, notes, batch, row)
      return
    }
    const arrival =
      (batch.seconds[row]! - this.#seconds[session]!) * NANOSECONDS +
      (batch.nanoseconds[row]! - this.#nanoseconds[session]!)
    const expected = this.#lastStamp[session]! + arrival - this.#lastArrival[session]!
    const stamp = this.#sinceFirst(session, notes, expected)
    if (
      notes.granularity === GRANULARITY_USER &&
      Math.abs(stamp - arrival) > UNFIT_NANOSECONDS + Math.abs(arrival) * UNFIT_SHARE
    ) {
      this.#kind[session] = UNKNOWN_UNIT
      return
    }
    if (Math.abs(stamp - expected) > STEP_NANOSECONDS) {
      this.#begin(session, kind, notes, batch, row)
      return
    }
    if (stamp >= this.#lastStamp[session]!) {
      this.#lastStamp[session] = stamp
      this.#lastArrival[session] = arrival
    }
    const total = this.#nanoseconds[session]! + stamp
    const seconds = Math.floor(total / NANOSECONDS)
    batch.seconds[row] = this.#seconds[session]! + seconds
    batch.nanoseconds[row] = total - seconds * NANOSECONDS
  }

  #begin(session: number, kind: number, notes: TunnelNotes, batch: FrameBatch, row: number): void {
    this.#kind[session] = kind
    this.#isWide[session] = notes.time >= NANOSECONDS ? 1 : 0
    this.#seconds[session] = batch.seconds[row]!
    this.#nanoseconds[session] = batch.nanoseconds[row]!
    this.#time[session] = notes.time
    this.#upperTime[session] = notes.upperTime
    this.#lastStamp[session] = 0
    this.#lastArrival[session] = 0
    if (notes.upper === UPPER_SECONDS && notes.granularity === GRANULARITY_IEEE_1588 && notes.time < NANOSECONDS) {
      this.#takeDate(session, notes, batch, row)
    }
  }

  /** The reference is then the stamp itself; the arrival lies a little before or behind it. */
  #takeDate(session: number, notes: TunnelNotes, batch: FrameBatch, row: number): void {
    for (let i = 0; i < SCALES.length; i++) {
      const seconds = notes.upperTime - SCALES[i]!
      const arrival = (batch.seconds[row]! - seconds) * NANOSECONDS + batch.nanoseconds[row]! - notes.time
      if (Math.abs(arrival) > STEP_NANOSECONDS) continue
      this.#lastArrival[session] = arrival
      this.#seconds[session] = batch.seconds[row] = seconds
      this.#nanoseconds[session] = batch.nanoseconds[row] = notes.time
      return
    }
  }

  /** Nanoseconds since the session's first frame. */
  #sinceFirst(session: number, notes: TunnelNotes, expected: number): number {
    const tick = TICK_NANOSECONDS[notes.granularity]!
    const ticks = notes.time - this.#time[session]!
    const upper = notes.upperTime - this.#upperTime[session]!
    if (notes.upper === UPPER_SECONDS) return upper * NANOSECONDS + ticks * tick
    if (notes.upper !== UPPER_ABSENT) return (upper * WORD + ticks) * tick
    if (notes.time >= NANOSECONDS) this.#isWide[session] = 1
    const isSecond = notes.granularity === GRANULARITY_IEEE_1588 && this.#isWide[session] === 0
    const round = isSecond ? NANOSECONDS : WORD * tick
    return ticks * tick + Math.round((expected - ticks * tick) / round) * round
  }
}
