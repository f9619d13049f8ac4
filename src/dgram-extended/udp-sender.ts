import {
  AF_INET,
  closeDescriptor,
  EAGAIN,
  EINTR,
  ENOBUFS,
  IOVEC_LEN,
  IOVEC_WORDS,
  IPPROTO_UDP,
  type Libc,
  libc,
  MSG_DONTWAIT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  setBuffer,
  setOption,
  UDP_SEGMENT,
} from './libc.ts'
import { MessageHeaders } from './message-headers.ts'
import { addressFamily, SOCKADDR_BYTES, writeSocketAddress } from './socket-address.ts'
import { SyscallError } from './syscall-error.ts'

/** Messages in one call. With UDP segmentation each carries up to 64 datagrams; more gained nothing. */
const MESSAGES = 8
/** Between the areas, so that their first bytes fall into different cache sets. */
const STRIDE = 65536 + 64
/** The longest UDP payload: 65535 less the headers that count towards it (IPv6's own does not). */
const LONGEST_IPV4 = 65507
const LONGEST_IPV6 = 65527
/** UDP_MAX_SEGMENTS of Linux before 6.9, which raised it to 128. */
const MOST_SEGMENTS = 64

export interface UdpSenderOptions {
  /** Receiver: an IPv4 or IPv6 address in numbers, and its port. */
  readonly address: string
  readonly port: number
  /**
   * The kernel cuts each message into datagrams of this many bytes (UDP_SEGMENT, Linux 4.18); the last may be shorter.
   * With its headers each must fit into the MTU: segments are not fragmented.
   */
  readonly segmentBytes?: number
  /** Port to send from; otherwise the kernel chooses. */
  readonly sourcePort?: number
  /** Bytes of socket buffer (SO_SNDBUFFORCE, or SO_SNDBUF within net.core.wmem_max where that is not permitted). */
  readonly sendBuffer?: number
}

/** A connected UDP socket that sends several messages a call: some 2 million datagrams a second with segmentation. */
export class UdpSender {
  /** The areas that `send` sends from, which the caller fills: all of one length, the longest message that can be sent. */
  readonly messages: readonly Uint8Array[]
  readonly #headers: MessageHeaders
  readonly #c: Libc
  readonly #subject: string
  #fd: number

  private constructor(fd: number, options: UdpSenderOptions) {
    this.#fd = fd
    this.#c = libc()
    this.#subject = subjectOf(options)
    const memory = new Uint8Array(new ArrayBuffer(MESSAGES * STRIDE))
    const address = this.#c.address(memory)
    const length = longestMessage(options)
    this.#headers = new MessageHeaders(MESSAGES)
    const messages: Uint8Array[] = []
    for (let i = 0; i < MESSAGES; i++) {
      messages.push(memory.subarray(i * STRIDE, i * STRIDE + length))
      this.#headers.setBuffer(i, address + BigInt(i * STRIDE), length)
    }
    this.messages = messages
  }

  /** @throws SyscallError; TypeError when the address is not one in numbers; RangeError for a bad port or segment size. */
  static open(options: UdpSenderOptions): UdpSender {
    const { segmentBytes } = options
    if (segmentBytes !== undefined && !(Number.isInteger(segmentBytes) && segmentBytes > 0 && segmentBytes <= 65507))
      throw new RangeError(`segmentBytes is ${segmentBytes}\nIt must be a whole number from 1 to 65507.`)
    const c = libc()
    const subject = subjectOf(options)
    const fd = c.socket(addressFamily(options.address), SOCK_DGRAM | SOCK_CLOEXEC, 0)
    if (fd < 0) throw new SyscallError('socket', c.errno(), subject)
    try {
      configure(fd, options, subject)
      return new UdpSender(fd, options)
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
   * Sends the first `bytesEach` bytes of the first `count` messages, without waiting.
   * @returns how many of the messages were sent, from the first on; 0 when the socket's or the device's buffer is full.
   * @throws SyscallError, ECONNREFUSED among them: the receiver's host says that nobody listens
   */
  send(count: number, bytesEach: number): number {
    const longest = this.messages[0]!.length
    if (!(count >= 0 && count <= MESSAGES && bytesEach >= 0 && bytesEach <= longest))
      throw new RangeError(`${count} messages of ${bytesEach} bytes: there is room for ${MESSAGES} of ${longest}`)
    const { words, iovecs } = this.#headers
    for (let i = 0; i < count; i++) words[iovecs + i * IOVEC_WORDS + IOVEC_LEN] = bytesEach
    const sent = this.#c.sendmmsg(this.#fd, this.#headers.address, count, MSG_DONTWAIT)
    return sent < 0 ? this.#refused('sendmmsg') : sent
  }

  /** Sends `bytes` as one message: false when the buffer is full. @throws SyscallError, as `send` */
  sendOne(bytes: Uint8Array): boolean {
    return this.#c.send(this.#fd, bytes, bytes.length, MSG_DONTWAIT) < 0 ? this.#refused('send') !== 0 : true
  }

  /** Closes the socket; a second call does nothing. */
  close(): void {
    closeDescriptor(this.#fd)
    this.#fd = -1
  }

  #refused(syscall: string): 0 {
    const errno = this.#c.errno()
    if (errno === EAGAIN || errno === EINTR || errno === ENOBUFS) return 0
    throw new SyscallError(syscall, errno, this.#subject)
  }
}

function subjectOf({ address, port }: UdpSenderOptions): string {
  return `udp to ${address} port ${port}`
}

function longestMessage({ address, segmentBytes }: UdpSenderOptions): number {
  const longest = addressFamily(address) === AF_INET ? LONGEST_IPV4 : LONGEST_IPV6
  if (segmentBytes === undefined) return longest
  // The kernel refuses more than 65535 bytes with IPv6's header counted, too, so IPv4's limit serves both.
  return segmentBytes * Math.max(1, Math.min(MOST_SEGMENTS, Math.floor(LONGEST_IPV4 / segmentBytes)))
}

function configure(fd: number, options: UdpSenderOptions, subject: string): void {
  const c = libc()
  const { address, port, segmentBytes, sourcePort, sendBuffer } = options
  if (sendBuffer !== undefined) setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, sendBuffer, subject)
  if (segmentBytes !== undefined) setOption(fd, IPPROTO_UDP, UDP_SEGMENT, segmentBytes, subject)
  const name = new Uint8Array(SOCKADDR_BYTES)
  if (sourcePort !== undefined) {
    const any = addressFamily(address) === AF_INET ? '0.0.0.0' : '::'
    const size = writeSocketAddress(name, 0, any, sourcePort)
    if (c.bind(fd, name, size) < 0) throw new SyscallError('bind', c.errno(), `udp from port ${sourcePort}`)
  }
  const size = writeSocketAddress(name, 0, address, port)
  if (c.connect(fd, name, size) < 0) throw new SyscallError('connect', c.errno(), subject)
}
