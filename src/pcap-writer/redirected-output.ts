import { fstatSync, ftruncateSync, readFileSync } from 'node:fs'
import {
  behind,
  type Destination,
  type FileCalls,
  type KeepWaiting,
  STANDARD_OUTPUT,
  Stream,
  type WriteOutcome,
  writeAll,
} from './destination.ts'
import type { Boundaries } from './record-ranges.ts'

/** Standard output as what it is: a regular file, or a pipe, terminal or device. */
export function standardOutput(calls: FileCalls, keepWaiting: KeepWaiting): Destination {
  const isFile = fstatSync(STANDARD_OUTPUT).isFile()
  return isFile ? new RedirectedOutput(STANDARD_OUTPUT, calls) : Stream.standardOutput(calls, keepWaiting)
}

/**
 * A regular file that a shell opened for us, at any offset, with or without O_APPEND. A write that fails is cut back to a whole record.
 * Throws from `write` only if it cannot be.
 */
export class RedirectedOutput implements Destination {
  readonly isFile = false
  readonly isStandardOutput = true
  readonly #fd: number
  readonly #calls: FileCalls
  /** Bytes from the last cut to the descriptor's offset, which stays where it was; a plain write would leave a hole of so many zeros. */
  #gap = 0

  constructor(fd: number, calls: FileCalls) {
    this.#fd = fd
    this.#calls = calls
  }

  write(parts: readonly Uint8Array[], boundaries: (written: number) => Boundaries): WriteOutcome {
    const gap = this.#gap
    const { written, error } = this.#writeAll(parts)
    const kept = error === undefined ? written : boundaries(written).down
    // From the first byte of this write to the descriptor's offset, which only bytes behind the gap move.
    const advance = Math.max(written, gap)
    if (kept < written) ftruncateSync(this.#fd, offsetOf(this.#fd) - advance + kept)
    this.#gap = gap > 0 || kept < written ? advance - kept : 0
    return { kept, begun: 0, error }
  }

  /** Its name is the shell's: without one there is still no other file to go to. */
  isRemoved(): false {
    return false
  }

  settle(): 'whole' {
    return 'whole'
  }

  /** Others may hold the descriptor's offset: it stays open, as all standard streams do. */
  close(): void {}

  /** Fills the gap at its position, then goes on at the descriptor's offset, where the shell's next program goes on too. */
  #writeAll(parts: readonly Uint8Array[]): { written: number; error: unknown } {
    if (this.#gap === 0) return writeAll(this.#fd, parts, this.#calls, neverWait)
    const position = offsetOf(this.#fd) - this.#gap
    const filled = writeAll(this.#fd, upTo(parts, this.#gap), this.#calls, neverWait, position)
    if (filled.error !== undefined) return filled
    const { written, error } = writeAll(this.#fd, behind(parts, this.#gap), this.#calls, neverWait)
    return { written: filled.written + written, error }
  }
}

const neverWait: KeepWaiting = () => false

/** lseek(2) for the present offset is not to be had from Node; the kernel tells it here as well (proc_pid_fdinfo(5)). */
function offsetOf(fd: number): number {
  return Number(/^pos:\s*(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))![1])
}

/** The first `count` bytes of the parts. */
function upTo(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let room = count
  const first: Uint8Array[] = []
  for (const part of parts) {
    if (room > 0) first.push(part.subarray(0, room))
    room = Math.max(room - part.length, 0)
  }
  return first
}
