import { bindSocket, boundName, DatagramSocket } from './datagram-socket.ts'
import {
  AF_INET6,
  closeDescriptor,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  libc,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
  setOption,
} from './libc.ts'
import { addressFamily, addressText, portAt } from './socket-address.ts'
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
export class UdpSocket extends DatagramSocket {
  /** The address as bound. */
  readonly address: string
  /** The port as bound. */
  readonly port: number

  private constructor(fd: number, { address, port, reusePort, receiveBuffer }: UdpSocketOptions, isBound: boolean) {
    const subject = subjectOf(address, port)
    const isIpv6 = addressFamily(address) === AF_INET6
    super(fd, subject, receiveBuffer, isIpv6 ? 'udp6' : 'udp')
    if (isIpv6 && !isBound) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, subject)
    if (reusePort === true) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1, subject)
    const name = isBound ? boundName(fd, subject) : bindSocket(fd, address, port, subject)
    this.address = addressText(name, 0)
    this.port = portAt(name, 0)
  }

  /** Goes on with a socket that a thread had opened which is gone: `fd` is bound there, and what is queued in it stays. @throws SyscallError */
  static adopt(fd: number, address: string, port: number): UdpSocket {
    return new UdpSocket(fd, { address, port }, true)
  }

  /** @throws SyscallError, such as EADDRINUSE; TypeError for an address not in numbers; RangeError for a port or size that cannot be */
  static open(options: UdpSocketOptions): UdpSocket {
    const c = libc()
    const fd = c.socket(addressFamily(options.address), SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (fd < 0) throw new SyscallError('socket', c.errno(), subjectOf(options.address, options.port))
    try {
      return new UdpSocket(fd, options, false)
    } catch (error) {
      closeDescriptor(fd)
      throw error
    }
  }
}

function subjectOf(address: string, port: number): string {
  return `udp ${address} port ${port}`
}
