import { libc } from './libc.ts'
import { MessageHeaders } from './message-headers.ts'
import { SOCKADDR_BYTES } from './socket-address.ts'

/** Bytes in front of every datagram that are the caller's to write, until the next receive call. A cache line; 32 are promised. */
export const HEADROOM_BYTES = 64

/** UDP's length field has 16 bits: no datagram is longer. */
const LONGEST_DATAGRAM = 65535

/**
 * 1025 cache lines: an odd number, so that the beginnings of successive datagrams spread over every set of the cache.
 *
 * Measured against packed slots of 2 KiB with a second iovec for what is longer, 256 slots: at 200 bytes 291 and 300 ns a
 * datagram, no difference beyond the noise; at 9000 bytes 515 and 710 ns, as beginning and rest had to be joined.
 */
const SLOT_BYTES = HEADROOM_BYTES + LONGEST_DATAGRAM + 1

/**
 * One region of memory, carved into slots that each take the longest datagram, and the headers that tell the kernel so.
 * Pages that no datagram reaches cost no memory, only address space: short datagrams use one page of each slot.
 *
 * The region belongs to the caller, who may share it with other threads. The arena keeps it alive for as long as the kernel
 * has its address. Each receive call overwrites what the one before it brought.
 */
export class DatagramArena {
  /** Datagrams there is room for: the most that one receive call returns. */
  readonly slots: number
  /** The whole memory, of which this arena uses `DatagramArena.bytesFor(slots)` bytes. */
  readonly bytes: Uint8Array
  /** The sender of datagram i: a struct sockaddr at `i * SOCKADDR_BYTES`. Zeroes where the arena was made without senders. */
  readonly names: Uint8Array
  readonly #first: number
  readonly #senders: boolean
  #headers: MessageHeaders | undefined

  /**
   * Without `senders` the kernel is not asked who sent a datagram, which saves it some 50 ns for each.
   * @throws RangeError when `slots` of them do not fit into `memory` from `byteOffset` on
   */
  constructor(memory: ArrayBufferLike, byteOffset: number, slots: number, senders: boolean = true) {
    const needed = DatagramArena.bytesFor(slots)
    const fits = byteOffset >= 0 && byteOffset + needed <= memory.byteLength
    if (!(Number.isInteger(slots) && slots > 0 && Number.isInteger(byteOffset) && fits))
      throw new RangeError(
        `${slots} slots from ${byteOffset} on need ${needed} bytes\nThe memory has ${memory.byteLength}: make it larger, or take fewer slots.`,
      )
    this.slots = slots
    this.bytes = new Uint8Array(memory)
    this.names = new Uint8Array(new ArrayBuffer(slots * SOCKADDR_BYTES))
    this.#first = byteOffset + HEADROOM_BYTES
    this.#senders = senders
  }

  /** How many bytes of memory an arena of that many slots needs. */
  static bytesFor(slots: number): number {
    return slots * SLOT_BYTES
  }

  /** For recvmmsg. Made on first use, so that the fallback does without system calls. */
  get headers(): MessageHeaders {
    this.#headers ??= this.#describe()
    return this.#headers
  }

  /** Where datagram i starts in `bytes`. */
  start(i: number): number {
    return this.#first + i * SLOT_BYTES
  }

  #describe(): MessageHeaders {
    const headers = new MessageHeaders(this.slots)
    const memory = libc().address(this.bytes)
    const names = libc().address(this.names)
    for (let i = 0; i < this.slots; i++) {
      headers.setBuffer(i, memory + BigInt(this.start(i)), LONGEST_DATAGRAM)
      headers.setReceive(i, this.#senders ? names + BigInt(i * SOCKADDR_BYTES) : 0n)
    }
    return headers
  }
}
