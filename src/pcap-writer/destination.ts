import { closeSync, constants, fstatSync, ftruncateSync, openSync, statfsSync, writevSync } from 'node:fs'
import { errorCode } from './errors.ts'
import type { Boundaries } from './record-ranges.ts'

/** Asked about every millisecond while a stream is full: whether to go on waiting, now that it has taken nothing for so long. */
export type KeepWaiting = (stalledMilliseconds: number) => boolean

export const STANDARD_OUTPUT = 1
/** statfs(2), f_type: ext2 to ext4, XFS, Btrfs, F2FS, tmpfs, overlay, ZFS. A server's files (NFS, CIFS, FUSE) wait for the server. */
const LOCAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x794c7630, 0x2fc12fc1,
])
const STREAM_FLAGS = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY

/** The one system call that can stop halfway; tests put one in its place that does. */
export interface FileCalls {
  /** Without a position at the descriptor's offset, which then moves on. */
  writev(fd: number, parts: readonly Uint8Array[], position?: number): number
}

export const SYSTEM_CALLS: FileCalls = { writev: (fd, parts, position) => writevSync(fd, parts, position) }

/** What became of the bytes of one write. */
export interface WriteOutcome {
  /** Bytes that stay, ending on a boundary. */
  readonly kept: number
  /** Bytes behind `kept`, up to the next boundary, that are partly out and go before everything else. */
  readonly begun: number
  /** Why not all was kept; undefined if all was. */
  readonly error: unknown
}

/** An open descriptor that records are written to. */
export interface Destination {
  /** Only a file can be reopened, removed, and cut back to a whole record. */
  readonly isFile: boolean
  readonly isStandardOutput: boolean
  write(parts: readonly Uint8Array[], boundaries: (written: number) => Boundaries): WriteOutcome
  /** Whether its last name is gone, so that nobody can read what is written. Throws system errors. */
  isRemoved(): boolean
  /** Completes what an earlier write began. `lost`: nobody can read it any more. */
  settle(): 'whole' | 'begun' | 'lost'
  close(): void
}

/** A regular file that this process created. Throws from `write` only if a failed write cannot be cut back. */
export class RegularFile implements Destination {
  readonly isFile = true
  readonly isStandardOutput = false
  /** Device and inode: tells this file from another that took its name. */
  readonly identity: string
  readonly #fd: number
  readonly #calls: FileCalls
  #isLocal: boolean | undefined
  #lentSize = 0

  private constructor(fd: number, calls: FileCalls) {
    this.#fd = fd
    this.#calls = calls
    const { dev, ino } = fstatSync(fd)
    this.identity = `${dev}:${ino}`
  }

  /** Fails with EEXIST if the name is taken, even by a symbolic link that leads nowhere. Readable by owner and group. */
  static create(path: string, calls: FileCalls): RegularFile {
    const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL
    return new RegularFile(openSync(path, flags, 0o640), calls)
  }

  /** Undefined if the name no longer leads to the file it did. */
  static reopen(path: string, identity: string, calls: FileCalls): RegularFile | undefined {
    let fd: number
    try {
      fd = openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    } catch (error) {
      if (['ENOENT', 'ELOOP', 'ENXIO', 'EISDIR', 'ENOTDIR'].includes(errorCode(error))) return undefined
      throw error
    }
    const file = new RegularFile(fd, calls)
    if (file.identity === identity) return file
    file.close()
    return undefined
  }

  write(parts: readonly Uint8Array[], boundaries: (written: number) => Boundaries): WriteOutcome {
    const { written, error } = writeAll(this.#fd, parts, this.#calls, () => false)
    if (error === undefined) return { kept: written, begun: 0, error }
    const kept = boundaries(written).down
    if (kept < written) ftruncateSync(this.#fd, fstatSync(this.#fd).size - (written - kept))
    return { kept, begun: 0, error }
  }

  isRemoved(): boolean {
    return fstatSync(this.#fd).nlink === 0
  }

  /** The descriptor, for somebody else to append to; undefined where a write may take for ever. Throws system errors. */
  lend(): number | undefined {
    this.#isLocal ??= LOCAL_FILE_SYSTEMS.has(statfsSync(`/proc/self/fd/${this.#fd}`).type)
    if (!this.#isLocal) return undefined
    this.#lentSize = fstatSync(this.#fd).size
    return this.#fd
  }

  /** Leaves the first `bytes` of what was appended since. Throws system errors. */
  cutBack(bytes: number): void {
    const whole = this.#lentSize + bytes
    // One that somebody has cut meanwhile would get zeros.
    if (fstatSync(this.#fd).size > whole) ftruncateSync(this.#fd, whole)
  }

  settle(): 'whole' {
    return 'whole'
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** O_NONBLOCK belongs to the open file, which a shell's other programs share: opened anew through /proc it is ours alone. */
function standardOutputDescriptor(): number {
  const kind = fstatSync(STANDARD_OUTPUT)
  if (!kind.isFIFO() && !kind.isCharacterDevice()) return STANDARD_OUTPUT
  try {
    return openSync(`/proc/self/fd/${STANDARD_OUTPUT}`, STREAM_FLAGS)
  } catch (error) {
    // A pipe that another user made (sudo -u, su) can be written but not opened again.
    if (errorCode(error) !== 'EACCES') throw error
    return STANDARD_OUTPUT
  }
}

/** A pipe, a terminal or a device: what is out cannot be taken back, so a record that was begun is completed first. */
export class Stream implements Destination {
  readonly isFile = false
  readonly isStandardOutput: boolean
  readonly #fd: number
  readonly #calls: FileCalls
  readonly #keepWaiting: KeepWaiting
  #owed: readonly Uint8Array[] = []

  private constructor(fd: number, isStandardOutput: boolean, calls: FileCalls, keepWaiting: KeepWaiting) {
    this.#fd = fd
    this.#calls = calls
    this.#keepWaiting = keepWaiting
    this.isStandardOutput = isStandardOutput
  }

  /** Fails with ENXIO while nobody reads a FIFO. */
  static open(path: string, calls: FileCalls, keepWaiting: KeepWaiting): Stream {
    return new Stream(openSync(path, STREAM_FLAGS), false, calls, keepWaiting)
  }

  /** Standard output that is no regular file. */
  static standardOutput(calls: FileCalls, keepWaiting: KeepWaiting): Stream {
    return new Stream(standardOutputDescriptor(), true, calls, keepWaiting)
  }

  write(parts: readonly Uint8Array[], boundaries: (written: number) => Boundaries): WriteOutcome {
    const { written, error } = writeAll(this.#fd, parts, this.#calls, (stalled) => this.#wait(stalled))
    if (error === undefined) return { kept: written, begun: 0, error }
    const { down, up } = boundaries(written)
    // Copied: the memory is borrowed, and the rest is written after its lender has it back.
    if (up > down) this.#owed = [copyOf(parts, written, up)]
    return { kept: down, begun: up - down, error }
  }

  /** Whoever has the other end open goes on reading. */
  isRemoved(): false {
    return false
  }

  settle(): 'whole' | 'begun' | 'lost' {
    const { written, error } = writeAll(this.#fd, this.#owed, this.#calls, (stalled) => this.#wait(stalled))
    this.#owed = behind(this.#owed, written)
    if (error === undefined) return 'whole'
    return errorCode(error) === 'EPIPE' ? 'lost' : 'begun'
  }

  close(): void {
    if (this.#fd !== STANDARD_OUTPUT) closeSync(this.#fd)
  }

  /** Short steps, so that a thread that is told to stop does, however long the reader pauses. */
  #wait(stalledMilliseconds: number): boolean {
    if (!this.#keepWaiting(stalledMilliseconds)) return false
    Atomics.wait(PAUSE, 0, 0, PAUSE_MS)
    return true
  }
}

const PAUSE_MS = 1
const PAUSE = new Int32Array(new SharedArrayBuffer(4))

/** Writes until all is out, an error comes, or a full stream is not to be waited for. `position` as in {@link FileCalls}. */
export function writeAll(
  fd: number,
  parts: readonly Uint8Array[],
  calls: FileCalls,
  waitForRoom: KeepWaiting,
  position?: number,
): { written: number; error: unknown } {
  let written = 0
  let stalled = 0
  let rest = parts
  while (rest.length > 0) {
    try {
      const more = calls.writev(fd, rest, position === undefined ? undefined : position + written)
      if (more === 0) return { written, error: new Error('the system wrote nothing and named no error') }
      written += more
      stalled = 0
      rest = behind(rest, more)
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN' || !waitForRoom(stalled)) return { written, error }
      stalled += PAUSE_MS
    }
  }
  return { written, error: undefined }
}

/** The parts without their first `count` bytes. */
export function behind(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count
  const rest: Uint8Array[] = []
  for (const part of parts) {
    if (skip < part.length) rest.push(skip === 0 ? part : part.subarray(skip))
    skip = Math.max(skip - part.length, 0)
  }
  return rest
}

function copyOf(parts: readonly Uint8Array[], start: number, end: number): Uint8Array {
  return Buffer.concat(behind(parts, start), end - start)
}
