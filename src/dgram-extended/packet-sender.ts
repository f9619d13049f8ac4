import type { FramePort } from './frame-port.ts'
import {
  closeDescriptor,
  IOVEC_BASE,
  IOVEC_LEN,
  IOVEC_WORDS,
  type Libc,
  libc,
  MSG_DONTWAIT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  setBuffer,
} from './libc.ts'
import {
  AF_PACKET,
  type DeviceCalls,
  deviceCalls,
  ENETDOWN,
  ENODEV,
  ENXIO,
  IFF_RUNNING,
  IFREQ_UNION,
  SIOCGIFFLAGS,
  SOCK_RAW,
  SOCKADDR_LL_BYTES,
  SOCKADDR_LL_IFINDEX,
} from './libc-devices.ts'
import { MessageHeaders } from './message-headers.ts'
import { deviceIndex, deviceRequest } from './network-device.ts'
import { SyscallError } from './syscall-error.ts'

/** Frames in one call. */
const MESSAGES = 256
/** Frames that wait for the device count against it, each with its bookkeeping. */
const SEND_BUFFER = 8 << 20
const WORD = 2 ** 32

/**
 * Sends Ethernet frames out of an interface as they are (AF_PACKET, sendmmsg), through its queueing discipline: a shaper set
 * with tc holds, and tcpdump on the interface sees them. Receives nothing.
 */
export class PacketSender implements FramePort {
  readonly name: string
  /** Of the frame that the last send() ended at. */
  errno = 0
  /** The memory whose address is below. */
  readonly memory: Uint8Array
  readonly #address: number
  readonly #headers: MessageHeaders = new MessageHeaders(MESSAGES)
  readonly #c: Libc = libc()
  readonly #calls: DeviceCalls = deviceCalls()
  readonly #request: DataView
  #fd: number

  private constructor(fd: number, name: string, memory: Uint8Array) {
    this.#fd = fd
    this.name = name
    this.memory = memory
    this.#address = Number(libc().address(memory))
    this.#request = deviceRequest(name)
    // The first of each call takes milliseconds, in which a first frame would be late.
    this.#isRunning()
    this.#c.sendmmsg(fd, this.#headers.address, 0, MSG_DONTWAIT)
  }

  /** `memory`: what frames are sent from. @throws SyscallError: socket EPERM (CAP_NET_RAW), SIOCGIFINDEX ENODEV */
  static open(name: string, memory: Uint8Array): PacketSender {
    const c = libc()
    const index = deviceIndex(name)
    if (index === undefined) throw new SyscallError('SIOCGIFINDEX', ENODEV, name)
    // Protocol 0: nothing that arrives is copied to this socket.
    const fd = c.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)
    if (fd < 0) throw new SyscallError('socket', c.errno(), `packets to ${name}`)
    try {
      const address = new DataView(new ArrayBuffer(SOCKADDR_LL_BYTES))
      address.setUint16(0, AF_PACKET, true)
      address.setInt32(SOCKADDR_LL_IFINDEX, index, true)
      if (c.bind(fd, address, SOCKADDR_LL_BYTES) < 0) throw new SyscallError('bind', c.errno(), name)
      setBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER, name)
      return new PacketSender(fd, name, memory)
    } catch (error) {
      closeDescriptor(fd)
      throw error
    }
  }

  /** EMSGSIZE: above the MTU; EAGAIN, ENOBUFS: the device's queue is full; ENETDOWN: down, or no link; ENXIO: removed. */
  send(offsets: Uint32Array, lengths: Uint32Array, first: number, count: number): number {
    let sent = 0
    while (sent < count) {
      if (!this.#isRunning()) return sent
      const some = Math.min(MESSAGES, count - sent)
      this.#point(offsets, lengths, first + sent, some)
      const taken = this.#c.sendmmsg(this.#fd, this.#headers.address, some, MSG_DONTWAIT)
      if (taken < 0) {
        this.errno = this.#c.errno()
        return sent
      }
      // After fewer than it was given the kernel does not say why: the next call fails at once, and tells.
      sent += taken
    }
    return sent
  }

  /** A second call does nothing. */
  close(): void {
    closeDescriptor(this.#fd)
    this.#fd = -1
  }

  abandon(): void {
    this.close()
  }

  /**
   * Asked before each call: where there is no link the kernel takes frames, drops them and says that all went well
   * (noop_qdisc), also for the moment between setting an interface up and its first frame.
   */
  #isRunning(): boolean {
    if (this.#calls.ioctl(this.#fd, SIOCGIFFLAGS, this.#request) < 0) this.errno = ENXIO
    else if ((this.#request.getUint16(IFREQ_UNION, true) & IFF_RUNNING) === 0) this.errno = ENETDOWN
    else return true
    return false
  }

  /** Addresses as two words each: a BigInt for every frame would be garbage. */
  #point(offsets: Uint32Array, lengths: Uint32Array, first: number, count: number): void {
    const { words, iovecs } = this.#headers
    for (let i = 0; i < count; i++) {
      const at = iovecs + i * IOVEC_WORDS
      const address = this.#address + offsets[first + i]!
      words[at + IOVEC_BASE] = address >>> 0
      words[at + IOVEC_BASE + 1] = address / WORD
      words[at + IOVEC_LEN] = lengths[first + i]!
    }
  }
}
