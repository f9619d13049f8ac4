import {
  CMSG_WORDS,
  IOVEC_BASE,
  IOVEC_LEN,
  IOVEC_WORDS,
  libc,
  MMSGHDR_CONTROL,
  MMSGHDR_CONTROLLEN,
  MMSGHDR_IOV,
  MMSGHDR_IOVLEN,
  MMSGHDR_NAME,
  MMSGHDR_NAMELEN,
  MMSGHDR_WORDS,
} from './libc.ts'
import { SOCKADDR_BYTES } from './socket-address.ts'

/** Room for the one control message that is asked for, a time stamp: msg_controllen before a call, and after it with one. */
export const CONTROL_BYTES: number = 4 * CMSG_WORDS

/**
 * An array of struct mmsghdr with the iovec and the control area that each points to, for recvmmsg and sendmmsg.
 * It owns these; the buffers that the iovecs point to are kept alive by whoever sets them.
 */
export class MessageHeaders {
  /** Header i starts at word `i * MMSGHDR_WORDS`. */
  readonly words: Uint32Array
  /** Iovec i starts at word `iovecs + i * IOVEC_WORDS`. */
  readonly iovecs: number
  /** Control area i starts at word `controls + i * CMSG_WORDS`. */
  readonly controls: number
  /** Where the array starts, for the kernel: valid as long as this object lives. */
  readonly address: bigint
  readonly #pointers: BigUint64Array

  constructor(count: number) {
    this.iovecs = count * MMSGHDR_WORDS
    this.controls = this.iovecs + count * IOVEC_WORDS
    // An ArrayBuffer of its own: V8 may move a small typed array that it allocated by itself.
    const memory = new ArrayBuffer(4 * (this.controls + count * CMSG_WORDS))
    this.words = new Uint32Array(memory)
    this.#pointers = new BigUint64Array(memory)
    this.address = libc().address(this.words)
    for (let i = 0; i < count; i++) {
      const header = i * MMSGHDR_WORDS
      this.#point(header + MMSGHDR_IOV, this.#addressOf(this.iovecs + i * IOVEC_WORDS))
      this.words[header + MMSGHDR_IOVLEN] = 1
    }
  }

  /** Points the iovec of message i at `length` bytes from `address` on. */
  setBuffer(i: number, address: bigint, length: number): void {
    const iovec = this.iovecs + i * IOVEC_WORDS
    this.#point(iovec + IOVEC_BASE, address)
    this.words[iovec + IOVEC_LEN] = length
  }

  /** Prepares message i for receiving: `name` is SOCKADDR_BYTES of room for the sender's address, or 0n when nobody asks. */
  setReceive(i: number, name: bigint): void {
    const header = i * MMSGHDR_WORDS
    this.#point(header + MMSGHDR_NAME, name)
    this.#point(header + MMSGHDR_CONTROL, this.#addressOf(this.controls + i * CMSG_WORDS))
    this.rearm(header)
  }

  /** Says anew how much room there is for name and control message: the kernel writes over it what it used. */
  rearm(header: number): void {
    this.words[header + MMSGHDR_NAMELEN] = SOCKADDR_BYTES
    this.words[header + MMSGHDR_CONTROLLEN] = CONTROL_BYTES
  }

  #addressOf(word: number): bigint {
    return this.address + BigInt(4 * word)
  }

  #point(word: number, address: bigint): void {
    this.#pointers[word / 2] = address
  }
}
