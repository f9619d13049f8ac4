import type { FilterInstruction } from '../dgram-extended/libpcap.ts'

/** Opcodes of linux/bpf_common.h, put together from class, size and mode. */
const LOAD_LENGTH = 0x80
const LOAD_ABSOLUTE = { 1: 0x30, 2: 0x28, 4: 0x20 } as const
const LOAD_INDIRECT = { 1: 0x50, 2: 0x48, 4: 0x40 } as const
const LOAD_IP_HEADER_LENGTH_TO_X = 0xb1
const SUBTRACT_X = 0x1c
const JUMP_ALWAYS = 0x05
const JUMP_EQUAL = 0x15
const JUMP_GREATER_OR_EQUAL = 0x35
const JUMP_ANY_BIT = 0x45
const RETURN = 0x06
const LONGEST_JUMP = 255

type Width = 1 | 2 | 4

interface Jump {
  readonly at: number
  readonly yes: string | undefined
  readonly no: string | undefined
}

/** Writes classic BPF with names for the places that are jumped to; a name left out means the next instruction. */
export class BpfAssembler {
  readonly #code: { code: number; jt: number; jf: number; k: number }[] = []
  readonly #places = new Map<string, number>()
  readonly #jumps: Jump[] = []

  place(name: string): void {
    this.#places.set(name, this.#code.length)
  }

  length(): void {
    this.#emit(LOAD_LENGTH, 0)
  }

  load(width: Width, offset: number): void {
    this.#emit(LOAD_ABSOLUTE[width], offset)
  }

  /** From X + offset. */
  loadBehind(width: Width, offset: number): void {
    this.#emit(LOAD_INDIRECT[width], offset)
  }

  /** X = length of the IPv4 header at `offset`. */
  headerLength(offset: number): void {
    this.#emit(LOAD_IP_HEADER_LENGTH_TO_X, offset)
  }

  subtractX(): void {
    this.#emit(SUBTRACT_X, 0)
  }

  jump(to: string): void {
    this.#jumps.push({ at: this.#code.length, yes: to, no: undefined })
    this.#emit(JUMP_ALWAYS, 0)
  }

  ifEqual(value: number, yes?: string, no?: string): void {
    this.#branch(JUMP_EQUAL, value, yes, no)
  }

  ifAtLeast(value: number, yes?: string, no?: string): void {
    this.#branch(JUMP_GREATER_OR_EQUAL, value, yes, no)
  }

  ifAnyBit(mask: number, yes?: string, no?: string): void {
    this.#branch(JUMP_ANY_BIT, mask, yes, no)
  }

  return(value: number): void {
    this.#emit(RETURN, value)
  }

  /** The program so far, every jump resolved. */
  assemble(): FilterInstruction[] {
    for (const { at, yes, no } of this.#jumps) {
      const instruction = this.#code[at]!
      if (instruction.code === JUMP_ALWAYS) instruction.k = this.#distance(at, yes)
      else {
        instruction.jt = this.#near(at, yes)
        instruction.jf = this.#near(at, no)
      }
    }
    return this.#code
  }

  #emit(code: number, k: number): void {
    this.#code.push({ code, jt: 0, jf: 0, k: k >>> 0 })
  }

  #branch(code: number, value: number, yes: string | undefined, no: string | undefined): void {
    this.#jumps.push({ at: this.#code.length, yes, no })
    this.#emit(code, value)
  }

  #near(at: number, name: string | undefined): number {
    const distance = this.#distance(at, name)
    if (distance > LONGEST_JUMP) throw new RangeError(`The jump to ${name} is ${distance} instructions long.`)
    return distance
  }

  #distance(at: number, name: string | undefined): number {
    if (name === undefined) return 0
    const target = this.#places.get(name)
    if (target === undefined || target <= at) throw new RangeError(`Nothing behind instruction ${at} is named ${name}.`)
    return target - at - 1
  }
}

/** As tc's bpf classifier takes it: the count, then each instruction in decimal. */
export function toBytecode(program: readonly FilterInstruction[]): string {
  return [program.length, ...program.map(({ code, jt, jf, k }) => `${code} ${jt} ${jf} ${k}`)].join(',')
}
