import { fstatSync, ftruncateSync, writeSync } from 'node:fs'
import type { RecordProducer } from '../../frames/record-producer.ts'
import { Borrower } from './loan.ts'

/**
 * So much is written at a time. Against the queue's own segments of 1 MiB, which are in no cache any more when they are written:
 * 0.21 us CPU a frame of 200 bytes where 0.27 went, tcpdump 0.20; with 64 KiB 0.22, with 512 KiB 0.21.
 */
const WRITE_BYTES = 256 << 10
/** A disk that takes longer is waited for by the sink's thread for a while, as packets go on being read: each time longer. */
const SLOW_MS = 50
const FIRST_REST_MS = 1000
const LONGEST_REST_MS = 60_000

/** Records that go from the pipeline's thread into the file that the sink's thread has lent, instead of through the queue. */
export class DirectWrites {
  readonly #producer: RecordProducer
  readonly #borrower: Borrower
  /** Until when the sink's thread does it. */
  #restsUntil = 0
  #restMs = FIRST_REST_MS

  constructor(producer: RecordProducer, loan: SharedArrayBuffer) {
    this.#producer = producer
    this.#borrower = new Borrower(loan)
  }

  /** Writes what has come together, or all that has. `slab`: where the queue is. What cannot be written stays for the queue. */
  write(slab: Uint8Array, isAll: boolean): void {
    const segment = this.#producer.unpublished()
    if (segment === undefined || (segment.bytes < WRITE_BYTES && !isAll)) return
    const began = performance.now()
    if (began < this.#restsUntil) return
    const { start, bytes, frames, firstSecond, lastSecond } = segment
    const fd = this.#borrower.borrow(bytes, firstSecond, lastSecond)
    if (fd < 0) return
    if (isWritten(fd, slab, start, bytes)) {
      this.#producer.forget()
      this.#borrower.giveBack(frames, bytes)
    } else {
      // The sink's thread meets the same trouble, and tells of it.
      this.#borrower.breakOff()
      this.#producer.publish()
    }
    const ended = performance.now()
    if (ended - began > SLOW_MS) this.#rest(ended)
  }

  #rest(now: number): void {
    // It went well for a while: it starts from the beginning.
    if (now - this.#restsUntil > LONGEST_REST_MS) this.#restMs = FIRST_REST_MS
    this.#restsUntil = now + this.#restMs
    this.#restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS)
  }
}

function isWritten(fd: number, slab: Uint8Array, start: number, bytes: number): boolean {
  try {
    const written = writeSync(fd, slab, start, bytes)
    if (written === bytes) return true
    // By what the file has now: somebody may have cut it since it was lent, and the lender knows only what it had then.
    ftruncateSync(fd, fstatSync(fd).size - written)
  } catch {
    // The lender's own attempt tells what is wrong.
  }
  return false
}
