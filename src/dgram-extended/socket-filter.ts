import { libc, SOL_SOCKET } from './libc.ts'
import {
  BPF_JUMP,
  BPF_JUMP_ANY_BIT,
  BPF_JUMP_EQUAL,
  BPF_LOAD_ABSOLUTE,
  BPF_LOAD_HEADER_LENGTH,
  BPF_LOAD_INDEXED,
  BPF_LOAD_NUMBER,
  BPF_LOAD_WORD,
  BPF_LOAD_WORD_INTO_X,
  BPF_MAXINSNS,
  BPF_MULTIPLY,
  BPF_RETURN,
  BPF_RETURN_A,
  BPF_SHIFT_RIGHT,
  BPF_SIZE_BYTE,
  BPF_SIZE_HALF,
  BPF_SIZE_WORD,
  BPF_STORE_WORD,
  BPF_XOR_WITH_X,
  PACKET_FANOUT_DATA,
  SO_ATTACH_FILTER,
  SOL_PACKET,
} from './packet-layout.ts'
import { SyscallError } from './syscall-error.ts'

const INSTRUCTION_BYTES = 8
/** struct sock_fprog: the count, and from byte 8 on the address. */
const PROGRAM_BYTES = 16
const PROGRAM_ADDRESS = 8
/** A packet is kept whole: more than there can be. */
const WHOLE = 0xffff_ffff

/** 2^32 divided by the golden ratio, odd: spreads what differs in few bits (Knuth, volume 3, section 6.4). */
const HASH_FACTOR = 0x9e37_79b1

const SIZES = { 4: BPF_SIZE_WORD, 2: BPF_SIZE_HALF, 1: BPF_SIZE_BYTE } as const

/** A place in a program that jumps lead to, further on. */
export type Label = symbol

interface Instruction {
  readonly code: number
  readonly jumpTrue: number
  readonly jumpFalse: number
  readonly value: number
  readonly target?: Label
}

/** Writes a classic BPF program, which the kernel runs on every packet before a socket gets it. Numbers are big-endian. */
export class SocketFilter {
  readonly #instructions: Instruction[] = []
  readonly #places = new Map<Label, number>()

  /** A = the 1, 2 or 4 bytes at `at`; a packet that ends before is refused. */
  load(bytes: 1 | 2 | 4, at: number): this {
    return this.#add(BPF_LOAD_ABSOLUTE | SIZES[bytes], at)
  }

  /** A = the bytes at X + `at`. */
  loadBehindHeader(bytes: 1 | 2 | 4, at: number): this {
    return this.#add(BPF_LOAD_INDEXED | SIZES[bytes], at)
  }

  /** X = the length of the IPv4 header at `at`. */
  measureIpv4Header(at: number): this {
    return this.#add(BPF_LOAD_HEADER_LENGTH, at)
  }

  /** Goes on at `target` when A is `value`. */
  ifEqual(value: number, target: Label): this {
    return this.#add(BPF_JUMP_EQUAL, value, 0, 1).jump(target)
  }

  ifNotEqual(value: number, target: Label): this {
    return this.#add(BPF_JUMP_EQUAL, value, 1, 0).jump(target)
  }

  /** Goes on at `target` when A has any of these bits. */
  ifAnyBit(bits: number, target: Label): this {
    return this.#add(BPF_JUMP_ANY_BIT, bits, 0, 1).jump(target)
  }

  /** Conditional jumps reach 255 instructions far; this one any distance, so that they need only skip it. */
  jump(target: Label): this {
    this.#instructions.push({ code: BPF_JUMP, jumpTrue: 0, jumpFalse: 0, value: 0, target })
    return this
  }

  label(label: Label): this {
    this.#places.set(label, this.#instructions.length)
    return this
  }

  /** Begins a hash, in a word of the program's own. */
  beginHash(): this {
    return this.#add(BPF_LOAD_NUMBER, 0).#add(BPF_STORE_WORD, 0)
  }

  /** Takes A into the hash. */
  hash(): this {
    return this.#add(BPF_LOAD_WORD_INTO_X, 0)
      .#add(BPF_XOR_WITH_X, 0)
      .#add(BPF_MULTIPLY, HASH_FACTOR)
      .#add(BPF_STORE_WORD, 0)
  }

  /** Ends with the hash's upper half, whose bits depend on all that went in. */
  returnHash(): this {
    return this.#add(BPF_LOAD_WORD, 0).#add(BPF_SHIFT_RIGHT, 16).#add(BPF_RETURN_A, 0)
  }

  accept(): this {
    return this.#add(BPF_RETURN, WHOLE)
  }

  reject(): this {
    return this.#add(BPF_RETURN, 0)
  }

  /** Replaces the filter that the socket has. @throws SyscallError; RangeError when the program is longer than 4096 instructions */
  attach(fd: number, subject: string): void {
    this.#set(fd, SOL_SOCKET, SO_ATTACH_FILTER, subject)
  }

  /** Makes the fan-out group of a packet socket, of kind PACKET_FANOUT_CBPF, ask the program which member gets a packet. @throws as attach() */
  distribute(fd: number, subject: string): void {
    this.#set(fd, SOL_PACKET, PACKET_FANOUT_DATA, subject)
  }

  #set(fd: number, level: number, name: number, subject: string): void {
    const count = this.#instructions.length
    if (count > BPF_MAXINSNS) throw new RangeError(`a socket filter of ${count} instructions\nThe kernel takes 4096.`)
    const c = libc()
    const code = this.#encode()
    const program = new DataView(new ArrayBuffer(PROGRAM_BYTES))
    program.setUint16(0, count, true)
    program.setBigUint64(PROGRAM_ADDRESS, c.address(code), true)
    const result = c.setsockopt(fd, level, name, program, PROGRAM_BYTES)
    // The last use of `code`: until here it is alive, and so is its address.
    if (result < 0) throw new SyscallError('setsockopt', c.errno(), `${subject}, filter of ${code.byteLength} bytes`)
  }

  #add(code: number, value: number, jumpTrue = 0, jumpFalse = 0): this {
    this.#instructions.push({ code, jumpTrue, jumpFalse, value })
    return this
  }

  #encode(): DataView {
    const code = new DataView(new ArrayBuffer(INSTRUCTION_BYTES * this.#instructions.length))
    this.#instructions.forEach(({ code: operation, jumpTrue, jumpFalse, value, target }, i) => {
      const at = i * INSTRUCTION_BYTES
      code.setUint16(at, operation, true)
      code.setUint8(at + 2, jumpTrue)
      code.setUint8(at + 3, jumpFalse)
      code.setUint32(at + 4, target === undefined ? value : this.#places.get(target)! - i - 1, true)
    })
    return code
  }
}
