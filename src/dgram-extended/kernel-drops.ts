import { fstatSync } from 'node:fs'
import {
  libc,
  SK_MEMINFO_DROPS,
  SK_MEMINFO_RCVBUF,
  SK_MEMINFO_RMEM_ALLOC,
  SK_MEMINFO_VARS,
  SO_MEMINFO,
  SOL_SOCKET,
} from './libc.ts'
import { readSocketStatistics, type SocketTable } from './udp-statistics.ts'

/** Turns the kernel's 32-bit counter into an exact total: exact as long as it is read once per 4 294 967 296 drops. */
export class KernelDrops {
  readonly #read: () => number | undefined
  #last = 0
  #total = 0

  /** `read` gives the counter, which was 0 when the socket was opened, or undefined where nobody tells. */
  constructor(read: () => number | undefined) {
    this.#read = read
  }

  total(): number {
    const now = this.#read() ?? this.#last
    this.#total += (now - this.#last) >>> 0
    this.#last = now
    return this.#total
  }
}

/**
 * The socket's counter of drops from SO_MEMINFO (Linux 4.12). It is exact at any moment, whereas SO_RXQ_OVFL tells with each
 * datagram what was lost before that one: a control message to read each time, and silence about the last losses.
 */
export function memoryInfoDrops(fd: number): number | undefined {
  const values = new Uint32Array(SK_MEMINFO_VARS)
  const length = Uint32Array.of(values.byteLength)
  if (libc().getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, length) < 0) return undefined
  return length[0]! > 4 * SK_MEMINFO_DROPS ? values[SK_MEMINFO_DROPS] : undefined
}

/** The same counter from the kernel's list, for kernels and sandboxes that refuse SO_MEMINFO; undefined once closed (-1). */
export function listedDrops(fd: number, table: SocketTable): number | undefined {
  if (fd < 0) return undefined
  const inode = fstatSync(fd).ino
  return readSocketStatistics(table)?.find((socket) => socket.inode === inode)?.drops
}

/** What the kernel tells of a socket's receive buffer (SO_MEMINFO). */
export class BufferFill {
  readonly #fd: number
  readonly #values: Uint32Array = new Uint32Array(SK_MEMINFO_VARS)
  readonly #length: Uint32Array = new Uint32Array(1)

  constructor(fd: number) {
    this.#fd = fd
  }

  /** Whether half of it or more is free; false where the kernel does not tell. Costs a system call. */
  get isHalfFree(): boolean {
    const values = this.#values
    this.#length[0] = values.byteLength
    if (libc().getsockopt(this.#fd, SOL_SOCKET, SO_MEMINFO, values, this.#length) < 0) return false
    return 2 * values[SK_MEMINFO_RMEM_ALLOC]! <= values[SK_MEMINFO_RCVBUF]!
  }
}
