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
  MMSGHDR_WORDS,
} from './libc.ts'

/** Room for the one control message that is asked for, a time stamp. */
const CONTROL_BYTES = 4 * CMSG_WORDS

/**
 * An array of struct mmsghdr with the iovecs and the control areas they point to, for recvmmsg and sendmmsg.
 * It owns these; the buffers that the iovecs point to are kept alive by whoever sets them.
 */
export class MessageHeaders {
  /** Header i starts at word `i * MMSGHDR_WORDS`. */
  readonly words: Uint32Array
  /** Word at which the iovecs start: `iovecsEach` of them for each message. */
  readonly iovecs: number
  /** Word at which the control areas start: `CMSG_WORDS` for each message. */
  readonly controls: number
  /** Where the array starts, for the kernel: valid as long as this object lives. */
  readonly address: bigint
  readonly #pointers: BigUint64Array
  readonly #iovecsEach: number

  constructor(count: number, iovecsEach: number) {
    this.iovecs = count * MMSGHDR_WORDS
    this.controls = this.iovecs + count * iovecsEach * IOVEC_WORDS
    // An ArrayBuffer of its own: V8 may move a small typed array that it allocated by itself.
    const memory = new ArrayBuffer(4 * (this.controls + count * CMSG_WORDS))
    this.words = new Uint32Array(memory)
    this.#pointers = new BigUint64Array(memory)
    this.#iovecsEach = iovecsEach
    this.address = libc().address(this.words)
    for (let i = 0; i < count; i++) {
      this.#point(i * MMSGHDR_WORDS + MMSGHDR_IOV, this.address + BigInt(4 * this.#iovec(i, 0)))
      this.words[i * MMSGHDR_WORDS + MMSGHDR_IOVLEN] = iovecsEach
    }
  }

  /** Points one iovec of a message at `length` bytes from `address` on. */
  setBuffer(message: number, iovec: number, address: bigint, length: number): void {
    const at = this.#iovec(message, iovec)
    this.#point(at + IOVEC_BASE, address)
    this.words[at + IOVEC_LEN] = length
  }

  /** Where the sender's address goes; its size, msg_namelen, is set before every call. */
  setName(message: number, address: bigint): void {
    this.#point(message * MMSGHDR_WORDS + MMSGHDR_NAME, address)
  }

  /** Gives a message its control area. */
  enableControl(message: number): void {
    const at = message * MMSGHDR_WORDS
    this.#point(at + MMSGHDR_CONTROL, this.address + BigInt(4 * (this.controls + message * CMSG_WORDS)))
    this.words[at + MMSGHDR_CONTROLLEN] = CONTROL_BYTES
  }

  /** The number of bytes in one iovec of a message. */
  bufferLength(message: number, iovec: number): number {
    return this.words[this.#iovec(message, iovec) + IOVEC_LEN]!
  }

  #iovec(message: number, iovec: number): number {
    return this.iovecs + (message * this.#iovecsEach + iovec) * IOVEC_WORDS
  }

  #point(word: number, address: bigint): void {
    this.#pointers[word / 2] = address
  }
}
