/** One of the eleven registers. */
export interface Register {
  readonly index: number
}

/** What a call and the program itself return. */
export const R0: Register = { index: 0 }
/** R1 to R5 are a call's arguments, and lost in it. */
export const R1: Register = { index: 1 }
export const R2: Register = { index: 2 }
export const R3: Register = { index: 3 }
export const R4: Register = { index: 4 }
export const R5: Register = { index: 5 }
/** R6 to R9 outlive calls. */
export const R6: Register = { index: 6 }
export const R7: Register = { index: 7 }
export const R8: Register = { index: 8 }
export const R9: Register = { index: 9 }
/** The end of the stack, which grows downwards. */
export const FP: Register = { index: 10 }

/** A place to jump to, made by label() and put somewhere by place(). */
export interface Label {
  readonly name: string
}

/** RFC 9669 section 3: instruction classes, source, sizes, operations. */
const CLASS_LDX = 0x01
const CLASS_STX = 0x03
const CLASS_ALU = 0x04
const CLASS_JMP = 0x05
const CLASS_ALU64 = 0x07
const SOURCE_REGISTER = 0x08
const MODE_MEM = 0x60
const SIZES = { 8: 0x10, 16: 0x08, 32: 0x00, 64: 0x18 } as const
const OPERATIONS = { add: 0x00, sub: 0x10, mul: 0x20, or: 0x40, and: 0x50, lsh: 0x60, rsh: 0x70, xor: 0xa0, mov: 0xb0 }
const JUMPS = { eq: 0x10, gt: 0x20, ge: 0x30, set: 0x40, ne: 0x50, lt: 0xa0, le: 0xb0 }
const OPERATION_END_TO_BIG = 0xd8
const JUMP_ALWAYS = 0x00
const JUMP_CALL = 0x80
const JUMP_EXIT = 0x90
const INSTRUCTION_BYTES = 8

type Operation = keyof typeof OPERATIONS
type Condition = keyof typeof JUMPS

/** Writes eBPF instructions (RFC 9669) one after the other; each method but label() appends one. */
export class EbpfAssembler {
  readonly #code: number[][] = []
  readonly #places = new Map<Label, number>()
  readonly #jumps: { at: number; label: Label }[] = []

  /** A label that is placed later; jumps go forward only, so that kernels without loops take the program. */
  label(name: string): Label {
    return { name }
  }

  /** The next instruction is where `label` is. */
  place(label: Label): void {
    if (this.#places.has(label)) throw new Error(`label ${label.name} is placed twice`)
    this.#places.set(label, this.#code.length)
  }

  /** destination = destination OPERATION value, in 32 bits; the upper 32 become 0. */
  alu(operation: Operation, destination: Register, value: Register | number): void {
    this.#arithmetic(CLASS_ALU | OPERATIONS[operation], destination, value)
  }

  /** destination = source, all 64 bits. */
  copy(destination: Register, source: Register): void {
    this.#arithmetic(CLASS_ALU64 | OPERATIONS.mov, destination, source)
  }

  /** destination = base + offset, an address. */
  pointer(destination: Register, base: Register, offset: number): void {
    this.copy(destination, base)
    this.#arithmetic(CLASS_ALU64 | OPERATIONS.add, destination, offset)
  }

  /** destination = number, extended with its sign. */
  set(destination: Register, number: number): void {
    this.#arithmetic(CLASS_ALU64 | OPERATIONS.mov, destination, number)
  }

  /** destination = the `bits` wide number at base + offset, in the machine's byte order. */
  load(bits: 8 | 16 | 32, destination: Register, base: Register, offset: number): void {
    this.#emit(CLASS_LDX | MODE_MEM | SIZES[bits], destination, base, offset, 0)
  }

  /** The lower `bits` of source go to base + offset. */
  store(bits: 8 | 16 | 32 | 64, base: Register, offset: number, source: Register): void {
    this.#emit(CLASS_STX | MODE_MEM | SIZES[bits], base, source, offset, 0)
  }

  /** What was loaded in the network's byte order becomes a number; the bits above become 0. */
  fromNetwork(bits: 16 | 32, destination: Register): void {
    this.#emit(CLASS_ALU | OPERATION_END_TO_BIG, destination, R0, 0, bits)
  }

  /** Jumps where `left CONDITION right` holds, unsigned, 64 bits; a number is extended with its sign. */
  jumpIf(condition: Condition, left: Register, right: Register | number, label: Label): void {
    this.#jumps.push({ at: this.#code.length, label })
    this.#arithmetic(CLASS_JMP | JUMPS[condition], left, right)
  }

  jump(label: Label): void {
    this.#jumps.push({ at: this.#code.length, label })
    this.#emit(CLASS_JMP | JUMP_ALWAYS, R0, R0, 0, 0)
  }

  /** Calls the kernel's helper of this number (enum bpf_func_id). */
  call(helper: number): void {
    this.#emit(CLASS_JMP | JUMP_CALL, R0, R0, 0, helper)
  }

  exit(): void {
    this.#emit(CLASS_JMP | JUMP_EXIT, R0, R0, 0, 0)
  }

  /** The program, for a little-endian machine. */
  assemble(): Uint8Array {
    for (const { at, label } of this.#jumps) {
      const target = this.#places.get(label)
      if (target === undefined || target <= at) throw new Error(`label ${label.name} is not placed behind its jump`)
      this.#code[at]![3] = target - at - 1
    }
    const bytes = new Uint8Array(this.#code.length * INSTRUCTION_BYTES)
    const view = new DataView(bytes.buffer)
    for (const [i, [code, destination, source, offset, immediate]] of this.#code.entries()) {
      view.setUint8(i * INSTRUCTION_BYTES, code!)
      view.setUint8(i * INSTRUCTION_BYTES + 1, destination! | (source! << 4))
      view.setInt16(i * INSTRUCTION_BYTES + 2, offset!, true)
      view.setInt32(i * INSTRUCTION_BYTES + 4, immediate!, true)
    }
    return bytes
  }

  #arithmetic(code: number, left: Register, right: Register | number): void {
    if (typeof right === 'number') this.#emit(code, left, R0, 0, right)
    else this.#emit(code | SOURCE_REGISTER, left, right, 0, 0)
  }

  #emit(code: number, destination: Register, source: Register, offset: number, immediate: number): void {
    this.#code.push([code, destination.index, source.index, offset, immediate])
  }
}
