import type { DatagramArena } from './datagram-arena.ts'
import { type DatagramColumns, stamp } from './datagram-columns.ts'
import { KernelDrops, listedDrops, memoryInfoDrops } from './kernel-drops.ts'
import {
  AF_INET6,
  CMSG_TIMESPEC_NANOSECONDS,
  CMSG_TIMESPEC_SECONDS,
  CMSG_WORDS,
  closeDescriptor,
  EAGAIN,
  EINTR,
  getOption,
  IOVEC_LEN,
  IOVEC_WORDS,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
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
  SO_REUSEPORT,
  SO_TIMESTAMPNS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
  setBuffer,
  setOption,
} from './libc.ts'
import { CONTROL_BYTES } from './message-headers.ts'
import { addressFamily, addressText, familyAt, portAt, SOCKADDR_BYTES, writeSocketAddress } from './socket-address.ts'
import { SyscallError } from './syscall-error.ts'

export interface UdpSocketOptions {
  /** IPv4 or IPv6 address in numbers; an IPv6 socket takes no IPv4, so `0.0.0.0` and `::` can be open beside each other. */
  readonly address: string
  /** 0 lets the kernel choose. */
  readonly port: number
  /** Several sockets share the port, and the kernel spreads senders over them (SO_REUSEPORT). All of them must ask for it. */
  readonly reusePort?: boolean
  /** Bytes of socket buffer, 1 to 1073741823 (SO_RCVBUFFORCE; up to net.core.rmem_max where that is not permitted). */
  readonly receiveBuffer?: number
}

/** A UDP socket that receives many datagrams a call, with the kernel's time of arrival and its count of losses. */
export class UdpSocket {
  /** The address as bound. */
  readonly address: string
  /** The port as bound. */
  readonly port: number
  /** SO_RCVBUF as the kernel gives it back: twice the size asked for, as it counts its own overhead for each datagram, too. */
  readonly receiveBufferBytes: number
  /** Whether the size asked for was granted in spite of net.core.rmem_max (needs CAP_NET_ADMIN). */
  readonly receiveBufferForced: boolean
  /** Datagrams that the kernel cut, since opening: 0 unless it has longer ones than UDP allows. */
  truncated = 0
  readonly #c: Libc
  readonly #drops: KernelDrops
  #fd: number

  private constructor(fd: number, options: UdpSocketOptions) {
    const subject = subjectOf(options)
    this.#c = libc()
    this.#fd = fd
    this.receiveBufferForced = configure(fd, options, subject)
    this.receiveBufferBytes = getOption(fd, SOL_SOCKET, SO_RCVBUF, subject)
    const name = bind(fd, options, subject)
    this.address = addressText(name, 0)
    this.port = portAt(name, 0)
    const family = familyAt(name, 0) === AF_INET6 ? 6 : 4
    this.#drops = new KernelDrops(
      memoryInfoDrops(fd) === undefined ? () => listedDrops(this.#fd, family) : () => memoryInfoDrops(this.#fd),
    )
  }

  /** @throws SyscallError, such as EADDRINUSE; TypeError for an address not in numbers; RangeError for a port or size that cannot be */
  static open(options: UdpSocketOptions): UdpSocket {
    const c = libc()
    const fd = c.socket(addressFamily(options.address), SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (fd < 0) throw new SyscallError('socket', c.errno(), subjectOf(options))
    try {
      return new UdpSocket(fd, options)
    } catch (error) {
      closeDescriptor(fd)
      throw error
    }
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
    throw new SyscallError('recvmmsg', errno, `udp ${this.address} port ${this.port}`)
  }
}

function subjectOf({ address, port }: UdpSocketOptions): string {
  return `udp ${address} port ${port}`
}

function configure(fd: number, options: UdpSocketOptions, subject: string): boolean {
  const { address, reusePort, receiveBuffer } = options
  if (addressFamily(address) === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, subject)
  if (reusePort === true) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, subject)
  // Before bind: no datagram may be queued without its time of arrival, or in a smaller buffer.
  setOption(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, subject)
  return receiveBuffer !== undefined && setBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receiveBuffer, subject)
}

/** Binds, and returns the sockaddr that came of it. */
function bind(fd: number, { address, port }: UdpSocketOptions, subject: string): Uint8Array {
  const c = libc()
  const name = new Uint8Array(SOCKADDR_BYTES)
  const size = writeSocketAddress(name, 0, address, port)
  if (c.bind(fd, name, size) < 0) throw new SyscallError('bind', c.errno(), subject)
  if (c.getsockname(fd, name, Uint32Array.of(SOCKADDR_BYTES)) < 0)
    throw new SyscallError('getsockname', c.errno(), subject)
  return name
}
