import type { DatagramArena } from './datagram-arena.ts'
import type { DatagramColumns } from './datagram-columns.ts'
import { bindSocket, boundName, DatagramSocket } from './datagram-socket.ts'
import { AF_INET6, closeDescriptor, libc, SOCK_CLOEXEC } from './libc.ts'
import { SOCK_RAW } from './libc-devices.ts'
import { addressFamily, addressText } from './socket-address.ts'
import { SyscallError } from './syscall-error.ts'

export interface RawSocketOptions {
  /** IPv4 or IPv6 address in numbers: packets to it, or with `0.0.0.0` and `::` to any of that family. */
  readonly address: string
  /** IP protocol number, 1 to 254. */
  readonly protocol: number
  /** As for UdpSocket. */
  readonly receiveBuffer?: number
}

/**
 * A raw IP socket (raw(7)): receives the packets of one IP protocol that come to this host, many a call, each without its
 * IP header. Every raw socket of the protocol gets its own copy of a packet, and the kernel, which has found a taker, sends
 * no "protocol unreachable". Needs CAP_NET_RAW.
 */
export class RawSocket extends DatagramSocket {
  /** The address as bound. */
  readonly address: string
  readonly #hasIpHeader: boolean

  private constructor(fd: number, { address, receiveBuffer }: RawSocketOptions, subject: string, isBound: boolean) {
    const isIpv6 = addressFamily(address) === AF_INET6
    super(fd, subject, receiveBuffer, isIpv6 ? 'raw6' : 'raw')
    this.#hasIpHeader = !isIpv6
    this.address = addressText(isBound ? boundName(fd, subject) : bindSocket(fd, address, 0, subject), 0)
  }

  /** As UdpSocket.adopt. @throws SyscallError */
  static adopt(fd: number, address: string, protocol: number): RawSocket {
    const options = { address, protocol }
    return new RawSocket(fd, options, subjectOf(options), true)
  }

  /** @throws SyscallError, EPERM without CAP_NET_RAW; TypeError for an address not in numbers; RangeError for a size that cannot be */
  static open(options: RawSocketOptions): RawSocket {
    const c = libc()
    const subject = subjectOf(options)
    const fd = c.socket(addressFamily(options.address), SOCK_RAW | SOCK_CLOEXEC, options.protocol)
    if (fd < 0) throw new SyscallError('socket', c.errno(), subject)
    try {
      return new RawSocket(fd, options, subject, false)
    } catch (error) {
      closeDescriptor(fd)
      throw error
    }
  }

  override receive(arena: DatagramArena, columns: DatagramColumns, maxRows?: number): number {
    const count = super.receive(arena, columns, maxRows)
    if (this.#hasIpHeader) passIpHeaders(arena.bytes, columns, count)
    return count
  }
}

function subjectOf({ protocol, address }: RawSocketOptions): string {
  return `IP protocol ${protocol} at ${address}`
}

/** Only IPv4's raw sockets give the header, which the kernel has checked: its length is in 32-bit words (RFC 791 section 3.1). */
function passIpHeaders(bytes: Uint8Array, columns: DatagramColumns, count: number): void {
  for (let i = 0; i < count; i++) {
    const headerBytes = (bytes[columns.offset[i]!]! & 0x0f) * 4
    columns.offset[i]! += headerBytes
    columns.captured[i]! -= headerBytes
    columns.wireLength[i]! -= headerBytes
  }
}
