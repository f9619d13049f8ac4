import { EXIT_UNAVAILABLE, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { systemCallsUnavailable } from '../dgram-extended/libc.ts'
import { allocateSharedMemory, clearSharedMemory, type SharedMemoryHandle } from '../dgram-extended/shared-memory.ts'
import { SyscallError } from '../dgram-extended/syscall-error.ts'

/** Places in the slab have 32 bits, and a record is told by where it ends. */
const LARGEST_SLAB = 3 * 2 ** 30
/** Address space for sinks that come later; pages that nobody touches cost nothing. */
const ROOM_TO_GROW = 2 ** 30
/** Parts start on a page, so that no two share a cache line. */
const PAGE_BYTES = 4096

/** A part of the slab. */
export interface SlabPart {
  readonly byteOffset: number
  readonly byteLength: number
}

/**
 * The one memory in which all workers' sources and all queues lie, so that a frame gets from one to the other by
 * copyWithin. The main thread shares it out.
 */
export class Slab {
  readonly memory: SharedMemoryHandle
  /** In order, no two of them adjacent. */
  #free: SlabPart[]

  /** `bytes`: for the parts that are known, each rounded up by pageAligned(). Throws Failure. */
  constructor(bytes: number, mayGrow: boolean) {
    if (bytes > LARGEST_SLAB) {
      const mebibytes = Math.ceil(bytes / 2 ** 20)
      throw new Failure(
        EXIT_USAGE,
        `The queues need ${mebibytes} MiB together.`,
        'Lower queue=, or --workers: there are 3 GiB for all of them.',
      )
    }
    const room = mayGrow && systemCallsUnavailable() === undefined ? ROOM_TO_GROW : 0
    const size = Math.min(bytes + room, LARGEST_SLAB)
    this.memory = allocate(size)
    this.#free = [{ byteOffset: 0, byteLength: size }]
  }

  /** The first place there is room at. Throws Failure. */
  take(bytes: number): SlabPart {
    const part = this.tryTake(bytes)
    if (part !== undefined) return part
    throw new Failure(
      EXIT_UNAVAILABLE,
      'There is no room for the queues of more sinks while it runs.',
      'Lower queue=, or start it again.',
    )
  }

  /** Undefined where there is no room. */
  tryTake(bytes: number): SlabPart | undefined {
    if (bytes === 0) return { byteOffset: 0, byteLength: 0 }
    const byteLength = pageAligned(bytes)
    const at = this.#free.findIndex((part) => part.byteLength >= byteLength)
    const room = this.#free[at]
    if (room === undefined) return undefined
    const rest = { byteOffset: room.byteOffset + byteLength, byteLength: room.byteLength - byteLength }
    this.#free.splice(at, 1, ...(rest.byteLength > 0 ? [rest] : []))
    return { byteOffset: room.byteOffset, byteLength: bytes }
  }

  /** Nobody uses the part any more. */
  giveBack({ byteOffset, byteLength }: SlabPart): void {
    const bytes = pageAligned(byteLength)
    if (bytes === 0) return
    clearSharedMemory(this.memory, byteOffset, bytes)
    const parts = [...this.#free, { byteOffset, byteLength: bytes }].sort((a, b) => a.byteOffset - b.byteOffset)
    this.#free = []
    for (const part of parts) {
      const last = this.#free.at(-1)
      if (last !== undefined && last.byteOffset + last.byteLength === part.byteOffset) {
        this.#free[this.#free.length - 1] = {
          byteOffset: last.byteOffset,
          byteLength: last.byteLength + part.byteLength,
        }
      } else this.#free.push(part)
    }
  }
}

/** Throws Failure where the address space is limited. */
function allocate(bytes: number): SharedMemoryHandle {
  try {
    return allocateSharedMemory(bytes)
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'ENOMEM') throw error
    const mebibytes = Math.ceil(bytes / 2 ** 20)
    throw new Failure(
      EXIT_UNAVAILABLE,
      `There is no address space for buffers and queues of ${mebibytes} MiB together.`,
      'Lower queue= or --buffer, or raise the limit (ulimit -v).',
    )
  }
}

export function pageAligned(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}
