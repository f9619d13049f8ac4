import { EINTR, libc, POLLFD_BYTES, POLLFD_EVENTS, POLLFD_REVENTS, POLLIN } from './libc.ts'
import { SyscallError } from './syscall-error.ts'

/** A thread inside the call can be neither terminated nor told anything: a minute is more than anyone should wait. */
const LONGEST_WAIT = 60_000

/** Waits until one of several descriptors can be read. It blocks its thread, and so is for worker threads. */
export class Poller {
  /** An array of struct pollfd; an ArrayBuffer of its own, as V8 may move a small typed array. */
  readonly #entries: DataView
  readonly #count: number

  /** The descriptors are borrowed: they stay open, and their owners close them. */
  constructor(descriptors: readonly number[]) {
    this.#count = descriptors.length
    this.#entries = new DataView(new ArrayBuffer(POLLFD_BYTES * this.#count))
    descriptors.forEach((fd, i) => {
      this.#entries.setInt32(i * POLLFD_BYTES, fd, true)
      this.#entries.setInt16(i * POLLFD_BYTES + POLLFD_EVENTS, POLLIN, true)
    })
  }

  /**
   * Waits up to `milliseconds`, from 0 to 60000, rounded up to whole ones.
   * @returns how many descriptors are ready; 0 when the time is over, and when a signal came
   * @throws SyscallError; RangeError when the time is not within its limits
   */
  wait(milliseconds: number): number {
    if (!(milliseconds >= 0 && milliseconds <= LONGEST_WAIT))
      throw new RangeError(`a wait of ${milliseconds} ms\nIt must be from 0 to ${LONGEST_WAIT}.`)
    const c = libc()
    const ready = c.poll(this.#entries, this.#count, Math.ceil(milliseconds))
    if (ready >= 0) return ready
    const errno = c.errno()
    if (errno !== EINTR) throw new SyscallError('poll', errno, `${this.#count} descriptors`)
    for (let i = 0; i < this.#count; i++) this.#entries.setInt16(i * POLLFD_BYTES + POLLFD_REVENTS, 0, true)
    return 0
  }

  /** Whether the last wait found descriptor `index` of the list readable, or failed: reading from it then tells why. */
  isReady(index: number): boolean {
    return this.#entries.getInt16(index * POLLFD_BYTES + POLLFD_REVENTS, true) !== 0
  }
}
