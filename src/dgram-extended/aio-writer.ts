import { libc } from './libc.ts'
import {
  type DeviceCalls,
  deviceCalls,
  IO_EVENT_RES,
  IO_EVENT_WORDS,
  IOCB_BUF,
  IOCB_CMD_PWRITE,
  IOCB_DATA,
  IOCB_FILDES,
  IOCB_LIO_OPCODE,
  IOCB_NBYTES,
  IOCB_WORDS,
} from './libc-devices.ts'

/** Writes in one call. */
const WRITES = 256
const WORD = 2 ** 32
/** Two for each pointer; struct timespec; aio_context_t. */
const POINTER_WORDS = 2
const TIMESPEC_WORDS = 4
const CONTEXT_WORDS = 2
/** The kernel writes to a TAP device before io_submit returns; nobody ever waits so long. */
const DEADLINE_SECONDS = 1

/**
 * Many write(2) in two system calls (io_submit, io_getevents), each a message of its own: to a TAP device 0.82 us a frame
 * instead of 1.04, and one call out of JavaScript for all of them. For descriptors that take writes at once.
 */
export class AioWriter {
  /** Of the first message that the last write() could not write. */
  errno = 0
  /** All of the below: control blocks, pointers to them, events, deadline, context. */
  readonly #words: Uint32Array
  readonly #address: number
  readonly #pointers: number
  readonly #events: number
  readonly #deadline: number
  readonly #calls: DeviceCalls = deviceCalls()
  readonly #written: Uint8Array = new Uint8Array(WRITES)
  #context = 0

  private constructor() {
    this.#pointers = WRITES * IOCB_WORDS
    this.#events = this.#pointers + WRITES * POINTER_WORDS
    this.#deadline = this.#events + WRITES * IO_EVENT_WORDS
    const context = this.#deadline + TIMESPEC_WORDS
    // An ArrayBuffer of its own: V8 may move a small typed array that it allocated by itself.
    this.#words = new Uint32Array(new ArrayBuffer(4 * (context + CONTEXT_WORDS)))
    this.#address = Number(libc().address(this.#words))
    this.#words[this.#deadline] = DEADLINE_SECONDS
    for (let i = 0; i < WRITES; i++) {
      this.#point(this.#pointers + i * POINTER_WORDS, this.#address + 4 * i * IOCB_WORDS)
      this.#words[i * IOCB_WORDS + IOCB_DATA] = i
      this.#words[i * IOCB_WORDS + IOCB_LIO_OPCODE] = IOCB_CMD_PWRITE
    }
    if (this.#calls.ioSetup(WRITES, this.#address + 4 * context) < 0) return
    this.#context = this.#words[context]! + this.#words[context + 1]! * WORD
  }

  /** Undefined where the kernel, or a container's seccomp filter, has no such calls, or fs.aio-max-nr is used up. */
  static open(): AioWriter | undefined {
    const writer = new AioWriter()
    return writer.#context === 0 ? undefined : writer
  }

  /**
   * Writes messages [first, first + count): message i is the `lengths[i]` bytes from `address + offsets[i]` on. Returns how
   * many were; where it is not all of them, these now come first in both columns, and errno tells why the next was not.
   */
  write(fd: number, address: number, offsets: Uint32Array, lengths: Uint32Array, first: number, count: number): number {
    for (let done = 0; done < count; ) {
      const some = Math.min(WRITES, count - done)
      const from = first + done
      this.#prepare(fd, address, offsets, lengths, from, some)
      const submitted = this.#calls.ioSubmit(this.#context, some, this.#address + 4 * this.#pointers)
      if (submitted < 0) {
        this.errno = libc().errno()
        return done
      }
      const written = this.#reap(lengths, from, submitted)
      if (written < submitted) {
        this.#moveForward(offsets, lengths, from, submitted)
        return done + written
      }
      done += submitted
    }
    return count
  }

  close(): void {
    if (this.#context !== 0) this.#calls.ioDestroy(this.#context)
    this.#context = 0
  }

  #prepare(
    fd: number,
    address: number,
    offsets: Uint32Array,
    lengths: Uint32Array,
    first: number,
    count: number,
  ): void {
    const words = this.#words
    for (let i = 0; i < count; i++) {
      const at = i * IOCB_WORDS
      words[at + IOCB_FILDES] = fd
      this.#point(at + IOCB_BUF, address + offsets[first + i]!)
      words[at + IOCB_NBYTES] = lengths[first + i]!
    }
  }

  /** How many of the messages were written; which, in #written. */
  #reap(lengths: Uint32Array, first: number, submitted: number): number {
    const events = this.#address + 4 * this.#events
    const reaped = this.#calls.ioGetEvents(this.#context, submitted, WRITES, events, this.#address + 4 * this.#deadline)
    this.#written.fill(0, 0, submitted)
    let written = 0
    for (let i = 0; i < reaped; i++) {
      const event = this.#events + i * IO_EVENT_WORDS
      const message = this.#words[event]!
      const result = this.#words[event + IO_EVENT_RES]! | 0
      if (result === lengths[first + message]) {
        this.#written[message] = 1
        written++
      } else if (written === i) this.errno = -result
    }
    return written
  }

  #moveForward(offsets: Uint32Array, lengths: Uint32Array, first: number, count: number): void {
    let free = first
    for (let i = 0; i < count; i++) {
      if (this.#written[i] === 0) continue
      swap(offsets, free, first + i)
      swap(lengths, free++, first + i)
    }
  }

  #point(word: number, address: number): void {
    this.#words[word] = address >>> 0
    this.#words[word + 1] = address / WORD
  }
}

function swap(column: Uint32Array, one: number, other: number): void {
  const value = column[one]!
  column[one] = column[other]!
  column[other] = value
}
