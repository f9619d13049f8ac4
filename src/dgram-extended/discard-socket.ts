import {
  AF_INET6,
  closeDescriptor,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  libc,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  setOption,
} from './libc.ts'
import { SOCK_RAW } from './libc-devices.ts'
import { addressFamily, SOCKADDR_BYTES, writeSocketAddress } from './socket-address.ts'
import { SocketFilter } from './socket-filter.ts'
import { SyscallError } from './syscall-error.ts'

export interface DiscardSocketOptions {
  /** IPv4 or IPv6 address in numbers. */
  readonly address: string
  /** A UDP port; not for another protocol. */
  readonly port: number
  /** IP protocol: 17 is UDP, any other needs CAP_NET_RAW. */
  readonly protocol: number
}

/**
 * Takes packets and throws them away in the kernel. A packet that a ring has seen goes on to the host's own network
 * stack, which would answer "port unreachable" where nobody has the port.
 */
export class DiscardSocket {
  #fd: number

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** @throws SyscallError, such as EADDRINUSE: then somebody has the port, and nothing need be done */
  static open({ address, port, protocol }: DiscardSocketOptions): DiscardSocket {
    const c = libc()
    const family = addressFamily(address)
    const subject = `protocol ${protocol}, ${address} port ${port}`
    const fd = c.socket(family, (protocol === IPPROTO_UDP ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, protocol)
    if (fd < 0) throw new SyscallError('socket', c.errno(), subject)
    try {
      if (family === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1, subject)
      new SocketFilter().reject().attach(fd, subject)
      const name = new Uint8Array(SOCKADDR_BYTES)
      const size = writeSocketAddress(name, 0, address, protocol === IPPROTO_UDP ? port : 0)
      if (c.bind(fd, name, size) < 0) throw new SyscallError('bind', c.errno(), subject)
      return new DiscardSocket(fd)
    } catch (error) {
      closeDescriptor(fd)
      throw error
    }
  }

  /** A second call does nothing. */
  close(): void {
    closeDescriptor(this.#fd)
    this.#fd = -1
  }
}
