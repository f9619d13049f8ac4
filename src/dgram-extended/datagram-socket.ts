import type { DatagramArena } from './datagram-arena.ts'
import { type DatagramColumns, stamp } from './datagram-columns.ts'
import { BufferFill, KernelDrops, listedDrops, memoryInfoDrops } from './kernel-drops.ts'
import {
  CMSG_TIMESPEC_NANOSECONDS,
  CMSG_TIMESPEC_SECONDS,
  CMSG_WORDS,
  closeDescriptor,
  EAGAIN,
  EINTR,
  getOption,
  IOVEC_LEN,
  IOVEC_WORDS,
  type Libc,
  libc,
  MMSGHDR_CONTROLLEN,
  MMSGHDR_FLAGS,
  MMSGHDR_LEN,
  MMSGHDR_WORDS,
  MSG_DONTWAIT,
  MSG_TRUNC,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_TIMESTAMPNS,
  SOL_SOCKET,
  setBuffer,
  setOption,
} from './libc.ts'
import { CONTROL_BYTES } from './message-headers.ts'
import { SOCKADDR_BYTES, writeSocketAddress } from './socket-address.ts'
import { SyscallError } from './syscall-error.ts'
import type { SocketTable } from './udp-statistics.ts'

/** A bound socket of datagrams, whatever its protocol: many a call, with the kernel's time of arrival and its count of losses. */
export abstract class DatagramSocket {
  /** SO_RCVBUF as the kernel gives it back: twice the size asked for, as it counts its own overhead for each datagram, too. */
  readonly receiveBufferBytes: number
  /** Whether the size asked for was granted in spite of net.core.rmem_max (needs CAP_NET_ADMIN). */
  readonly receiveBufferForced: boolean
  /** Datagrams that the kernel cut, since opening: 0 unless it has longer ones than IP allows. */
  truncated = 0
  readonly #c: Libc
  readonly #drops: KernelDrops
  readonly #fill: BufferFill
  readonly #subject: string
  #fd: number

  /** Takes over `fd`, not bound yet, or by a thread that is gone. `subject`: what errors are about. @throws SyscallError; RangeError */
  protected constructor(fd: number, subject: string, receiveBuffer: number | undefined, table: SocketTable) {
    this.#c = libc()
    this.#fd = fd
    this.#subject = subject
    // Before bind: no datagram may be queued without its time of arrival, or in a smaller buffer.
    setOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, subject)
    this.receiveBufferForced =
      receiveBuffer !== undefined && setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receiveBuffer, subject)
    this.receiveBufferBytes = getOption(fd, SOL_SOCKET, SO_RCVBUF, subject)
    this.#fill = new BufferFill(fd)
    this.#drops = new KernelDrops(
      memoryInfoDrops(fd) === undefined ? () => listedDrops(this.#fd, table) : () => memoryInfoDrops(this.#fd),
    )
  }

  /** For a poller; -1 once closed. */
  get fd(): number {
    return this.#fd
  }

  /**
   * Takes the datagrams that are waiting, without waiting for more: one system call, rows from 0 on.
   * They stay in the arena until the next call with it.
   * @returns how many; 0 when none is waiting
   * @throws SyscallError
   */
  receive(arena: DatagramArena, columns: DatagramColumns, maxRows: number = arena.slots): number {
    const room = Math.min(maxRows, arena.slots, columns.offset.length)
    // Below 0 the kernel would read it as a very large number, and write beyond the arena.
    if (!(room > 0)) return 0
    const count = this.#c.recvmmsg(this.#fd, arena.headers.address, room, MSG_DONTWAIT | MSG_TRUNC, null)
    if (count < 0) return this.#refused()
    this.#read(arena, columns, count)
    return count
  }

  /** Datagrams that the kernel lost for this socket since it was opened: a full buffer, or a bad checksum. */
  kernelDrops(): number {
    return this.#drops.total()
  }

  /** Whether half of the receive buffer or more is free; false where the kernel does not tell. Costs a system call. */
  get isHalfFree(): boolean {
    return this.#fill.isHalfFree
  }

  /** Closes the socket; a second call does nothing. */
  close(): void {
    if (this.#fd < 0) return
    this.#drops.total()
    closeDescriptor(this.#fd)
    this.#fd = -1
  }

  #read(arena: DatagramArena, columns: DatagramColumns, count: number): void {
    const { headers } = arena
    const { words, iovecs, controls } = headers
    for (let i = 0; i < count; i++) {
      const header = i * MMSGHDR_WORDS
      const length = words[header + MMSGHDR_LEN]!
      columns.offset[i] = arena.start(i)
      columns.captured[i] = length
      columns.wireLength[i] = length
      if ((words[header + MMSGHDR_FLAGS]! & MSG_TRUNC) !== 0) {
        columns.captured[i] = words[iovecs + i * IOVEC_WORDS + IOVEC_LEN]!
        this.truncated++
      }
      if (words[header + MMSGHDR_CONTROLLEN] === CONTROL_BYTES) {
        const stamp = controls + i * CMSG_WORDS
        columns.seconds[i] = words[stamp + CMSG_TIMESPEC_SECONDS]!
        columns.nanoseconds[i] = words[stamp + CMSG_TIMESPEC_NANOSECONDS]!
      } else {
        stamp(columns, i, Date.now())
      }
      headers.rearm(header)
    }
  }

  #refused(): 0 {
    const errno = this.#c.errno()
    if (errno === EAGAIN || errno === EINTR) return 0
    throw new SyscallError('recvmmsg', errno, this.#subject)
  }
}

/** Binds, and returns the sockaddr that came of it. @throws SyscallError */
export function bindSocket(fd: number, address: string, port: number, subject: string): Uint8Array {
  const c = libc()
  const name = new Uint8Array(SOCKADDR_BYTES)
  const size = writeSocketAddress(name, 0, address, port)
  if (c.bind(fd, name, size) < 0) throw new SyscallError('bind', c.errno(), subject)
  return boundName(fd, subject)
}

/** The sockaddr that a socket is bound to. @throws SyscallError */
export function boundName(fd: number, subject: string): Uint8Array {
  const c = libc()
  const name = new Uint8Array(SOCKADDR_BYTES)
  if (c.getsockname(fd, name, Uint32Array.of(SOCKADDR_BYTES)) < 0)
    throw new SyscallError('getsockname', c.errno(), subject)
  return name
}
