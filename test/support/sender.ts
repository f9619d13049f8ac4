import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { SyscallError } from '../../src/dgram-extended/syscall-error.ts'
import { UdpSender } from '../../src/dgram-extended/udp-sender.ts'

const ETHERNET_HEADER = '020000000001020000000002' // destination, source
/** IEEE 802 local experimental EtherType 1: no tool dissects what follows it. */
const ETHER_TYPE = '88b5'
const NUMBER_AT = 14
const SMALLEST_NUMBERED = NUMBER_AT + 4

/** An Ethernet frame of `bytes` bytes, 18 or more, that carries `number` behind its header. */
export function numberedFrame(number: number, bytes = 60): Buffer {
  if (bytes < SMALLEST_NUMBERED) throw new RangeError(`A numbered frame has at least ${SMALLEST_NUMBERED} bytes.`)
  const frame = Buffer.alloc(bytes, number & 0xff)
  frame.write(ETHERNET_HEADER + ETHER_TYPE, 'hex')
  frame.writeUInt32BE(number, NUMBER_AT)
  return frame
}

/** The number of a frame given in hexadecimal. */
export function numberOf(frame: string): number {
  return Number.parseInt(frame.slice(2 * NUMBER_AT, 2 * SMALLEST_NUMBERED), 16)
}

/** Where numbers stop being first, first + 1, first + 2 ...; -1 when they never do. */
export function firstGap(numbers: readonly number[], first = 0): number {
  return numbers.findIndex((number, i) => number !== first + i)
}

/** RFC 7348 section 5: the I flag, 24 reserved bits, 24 bits of VNI, 8 reserved bits, the frame. */
export function vxlan(vni: number, frame: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`08000000${vni.toString(16).padStart(6, '0')}00`, 'hex'), frame])
}

/** `count` VXLAN datagrams with numbered frames, from number `first` on. */
export function numberedDatagrams(count: number, { first = 0, vni = 100, bytes = 60 } = {}): Buffer[] {
  return Array.from({ length: count }, (_, i) => vxlan(vni, numberedFrame(first + i, bytes)))
}

/** Sends datagrams one after another through node:dgram; resolves when the kernel has them all. */
export async function send(
  datagrams: readonly Uint8Array[],
  port: number,
  to = '127.0.0.1',
  from?: string,
): Promise<void> {
  const socket = createSocket(isIPv6(to) ? 'udp6' : 'udp4')
  try {
    if (from !== undefined) {
      socket.bind(0, from)
      await once(socket, 'listening')
    }
    for (const datagram of datagrams) {
      await new Promise<void>((resolve, reject) => {
        socket.send(datagram, port, to, (error) => (error ? reject(error) : resolve()))
      })
    }
  } finally {
    socket.close()
  }
}

const HEADER_BYTES = 8
const VNI_AT = 4
const FLOOD_FRAME_BYTES = 192
const FLOOD_DATAGRAM_BYTES = HEADER_BYTES + FLOOD_FRAME_BYTES
const DATAGRAMS_EACH = 32

/** Numbered frames of 192 bytes, in VNI 100 unless said otherwise, sent to 127.0.0.1 until stop(), or until nobody listens there any more. */
export class Flood {
  /** Datagrams that the kernel has taken. */
  sent = 0
  /** Nothing is sent while it is true. */
  isPaused = false
  readonly #sender: UdpSender
  readonly #pauseMs: number
  readonly #messages: number
  readonly #vniOf: ((number: number) => number) | undefined
  readonly #done: Promise<void>
  #running = true

  /** As fast as this thread can, or about `pace` datagrams a millisecond, 32 or a multiple of it at once. */
  constructor(port: number, pace?: number, vniOf?: (number: number) => number) {
    this.#vniOf = vniOf
    this.#sender = UdpSender.open({ address: '127.0.0.1', port, segmentBytes: FLOOD_DATAGRAM_BYTES })
    this.#pauseMs = pace === undefined ? 0 : Math.max(1, DATAGRAMS_EACH / pace)
    this.#messages = pace === undefined ? this.#sender.messages.length : Math.ceil(pace / DATAGRAMS_EACH)
    for (const message of this.#sender.messages) {
      for (let i = 0; i < DATAGRAMS_EACH; i++) {
        message.set(vxlan(100, numberedFrame(0, FLOOD_FRAME_BYTES)), i * FLOOD_DATAGRAM_BYTES)
      }
    }
    this.#done = this.#run()
  }

  /** Resolves once the sender's socket is closed. */
  async stop(): Promise<void> {
    this.#running = false
    await this.#done
  }

  async #run(): Promise<void> {
    try {
      while (this.#running) {
        if (this.isPaused) {
          await setTimeout(1)
          continue
        }
        this.#number()
        const messages = this.#sender.send(this.#messages, DATAGRAMS_EACH * FLOOD_DATAGRAM_BYTES)
        this.sent += messages * DATAGRAMS_EACH
        await (this.#pauseMs > 0 ? setTimeout(this.#pauseMs) : setImmediate())
      }
    } catch (error) {
      if (!(error instanceof SyscallError && error.code === 'ECONNREFUSED')) throw error
    } finally {
      this.#sender.close()
    }
  }

  #number(): void {
    for (let i = 0; i < this.#messages * DATAGRAMS_EACH; i++) {
      const message = this.#sender.messages[Math.floor(i / DATAGRAMS_EACH)]!
      const at = (i % DATAGRAMS_EACH) * FLOOD_DATAGRAM_BYTES
      const view = new DataView(message.buffer, message.byteOffset)
      if (this.#vniOf !== undefined) view.setUint32(at + VNI_AT, this.#vniOf(this.sent + i) * 0x100)
      view.setUint32(at + HEADER_BYTES + NUMBER_AT, this.sent + i)
    }
  }
}
