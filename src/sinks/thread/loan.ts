import type { Interval } from '../../pcap-writer/rotation.ts'

/**
 * While a sink's thread has nothing to do, it lends the file that it writes to the pipeline's thread, which then puts records
 * there itself: they leave the cache that they were just copied into, and nobody is woken. Whatever else is to be done with the file
 * the sink's thread does, once it has the file back; what it lends are whole records' worth of an open file, no name and no decision.
 */
export interface Loan {
  readonly fd: number
  /** Bytes that the file may still take. */
  readonly room: number
  /** When its frames arrived. */
  readonly interval: Interval
}

/** What was done with a loan. */
export interface Repayment {
  readonly frames: number
  readonly bytes: number
  /** Behind those bytes there may be more, of a write that did not come to its end. */
  readonly isBroken: boolean
}

/** States. Only the lender leaves KEPT and BROKEN, only a borrower that lives IN_USE. */
const KEPT = 0
const OFFERED = 1
const IN_USE = 2
const BROKEN = 3

/** 32-bit words. */
const STATE = 0
const FD = 1
/** Doubles, behind those. */
const ROOM = 1
const FROM_SECOND = 2
const END_SECOND = 3
const FRAMES = 4
const BYTES = 5
const DOUBLES = 6

/** Between two looks whether a borrower who keeps the file still lives. */
const LOOK_MS = 10

export function createLoan(): SharedArrayBuffer {
  return new SharedArrayBuffer(8 * DOUBLES)
}

/** The side of the sink's thread. */
export class Lender {
  readonly #words: Int32Array
  readonly #terms: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, 2)
    this.#terms = new Float64Array(memory)
  }

  offer({ fd, room, interval }: Loan): void {
    this.#words[FD] = fd
    this.#terms[ROOM] = room
    this.#terms[FROM_SECOND] = interval.start
    this.#terms[END_SECOND] = interval.end
    this.#terms[FRAMES] = 0
    this.#terms[BYTES] = 0
    Atomics.store(this.#words, STATE, OFFERED)
  }

  /** Waits until the borrower has done what it is at. `isGone`: whether there is no borrower any more. */
  recall(isGone: () => boolean): Repayment {
    let state = Atomics.compareExchange(this.#words, STATE, OFFERED, KEPT)
    while (state === IN_USE) {
      // Asked first: one that is gone now has left the state as it will stay.
      const isOver = isGone()
      state = Atomics.compareExchange(this.#words, STATE, OFFERED, KEPT)
      if (state !== IN_USE || isOver) break
      Atomics.wait(this.#words, STATE, IN_USE, LOOK_MS)
    }
    Atomics.store(this.#words, STATE, KEPT)
    return { frames: this.#terms[FRAMES]!, bytes: this.#terms[BYTES]!, isBroken: state !== OFFERED }
  }
}

/** The pipeline's side. */
export class Borrower {
  readonly #words: Int32Array
  readonly #terms: Float64Array

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory, 0, 2)
    this.#terms = new Float64Array(memory)
  }

  /** The descriptor for so many bytes of frames that arrived in those seconds; -1: they are for the sink's thread. */
  borrow(bytes: number, firstSecond: number, lastSecond: number): number {
    if (Atomics.compareExchange(this.#words, STATE, OFFERED, IN_USE) !== OFFERED) return -1
    const terms = this.#terms
    const fits = terms[BYTES]! + bytes <= terms[ROOM]!
    if (fits && firstSecond >= terms[FROM_SECOND]! && lastSecond < terms[END_SECOND]!) return this.#words[FD]!
    this.#release(OFFERED)
    return -1
  }

  /** All was written. */
  giveBack(frames: number, bytes: number): void {
    this.#terms[FRAMES]! += frames
    this.#terms[BYTES]! += bytes
    this.#release(OFFERED)
  }

  /** Nothing may have been written, or a part. */
  breakOff(): void {
    this.#release(BROKEN)
  }

  #release(state: number): void {
    Atomics.compareExchange(this.#words, STATE, IN_USE, state)
    Atomics.notify(this.#words, STATE)
  }
}
