import * as bpf from './bpf.ts'

/**
 * Runs a classic BPF program instruction by instruction: where no code may be generated, and for the few programs that
 * loop. libpcap, which made the program, vouches for its jumps and that its loops end at the frame's end.
 */
export class BpfInterpreter {
  readonly #code: Uint16Array
  /** Where to go on; for JA and where the condition holds. */
  readonly #then: Uint32Array
  readonly #else: Uint32Array
  readonly #k: Uint32Array
  readonly #memory: Int32Array = new Int32Array(bpf.BPF_MEMWORDS)
  /** What the last load found. */
  #loaded = 0

  constructor(program: readonly bpf.BpfInstruction[]) {
    this.#code = Uint16Array.from(program, ({ code }) => code)
    this.#then = Uint32Array.from(program, ({ code, jt, k }, i) =>
      bpf.jumpTarget(i, code === (bpf.BPF_JMP | bpf.BPF_JA) ? k : jt),
    )
    this.#else = Uint32Array.from(program, ({ jf }, i) => bpf.jumpTarget(i, jf))
    this.#k = Uint32Array.from(program, ({ k }) => k)
  }

  /** Registers are kept as signed 32-bit numbers, which Node computes with fastest; >>> 0 where the sign matters. */
  accepts(bytes: Uint8Array, offset: number, captured: number, wireLength: number): boolean {
    let a = 0
    let x = 0
    this.#memory.fill(0)
    for (let at = 0; at < this.#code.length; at++) {
      const code = this.#code[at]!
      const k = this.#k[at]!
      switch (code & bpf.BPF_CLASS) {
        case bpf.BPF_LD:
          if (!this.#load(code, k, x, bytes, offset, captured, wireLength)) return false
          a = this.#loaded
          break
        case bpf.BPF_LDX:
          if (!this.#load(code, k, x, bytes, offset, captured, wireLength)) return false
          x = this.#loaded
          break
        case bpf.BPF_ST:
          this.#memory[k] = a
          break
        case bpf.BPF_STX:
          this.#memory[k] = x
          break
        case bpf.BPF_ALU: {
          const operand = (code & bpf.BPF_SRC) === 0 ? k | 0 : x
          if (operand === 0 && dividesBy(code)) return false
          a = calculate(code & bpf.BPF_OP, a, operand)
          break
        }
        case bpf.BPF_JMP: {
          const holds = compare(code & bpf.BPF_OP, a, (code & bpf.BPF_SRC) === 0 ? k | 0 : x)
          at = (holds ? this.#then[at]! : this.#else[at]!) - 1
          break
        }
        case bpf.BPF_RET:
          return ((code & bpf.BPF_RVAL) === bpf.BPF_A ? a : k) !== 0
        default:
          if ((code & bpf.BPF_MISCOP) === bpf.BPF_TAX) x = a
          else a = x
      }
    }
    return false
  }

  /** False: it lies outside of what was captured. */
  #load(
    code: number,
    k: number,
    x: number,
    bytes: Uint8Array,
    offset: number,
    captured: number,
    wireLength: number,
  ): boolean {
    let place = k
    switch (code & bpf.BPF_MODE) {
      case bpf.BPF_IMM:
        this.#loaded = k | 0
        return true
      case bpf.BPF_LEN:
        this.#loaded = wireLength | 0
        return true
      case bpf.BPF_MEM:
        this.#loaded = this.#memory[k]!
        return true
      case bpf.BPF_MSH:
        if (k >= captured) return false
        this.#loaded = (bytes[offset + k]! & 0x0f) << 2
        return true
      case bpf.BPF_IND:
        place = (x >>> 0) + k
    }
    const at = offset + place
    switch (code & bpf.BPF_SIZE) {
      case bpf.BPF_W:
        if (place + 4 > captured) return false
        this.#loaded = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
        return true
      case bpf.BPF_H:
        if (place + 2 > captured) return false
        this.#loaded = (bytes[at]! << 8) | bytes[at + 1]!
        return true
      default:
        if (place >= captured) return false
        this.#loaded = bytes[at]!
        return true
    }
  }
}

function dividesBy(code: number): boolean {
  const operation = code & bpf.BPF_OP
  return operation === bpf.BPF_DIV || operation === bpf.BPF_MOD
}

function calculate(operation: number, a: number, operand: number): number {
  switch (operation) {
    case bpf.BPF_ADD:
      return (a + operand) | 0
    case bpf.BPF_SUB:
      return (a - operand) | 0
    case bpf.BPF_MUL:
      return Math.imul(a, operand)
    case bpf.BPF_DIV:
      return ((a >>> 0) / (operand >>> 0)) | 0
    case bpf.BPF_MOD:
      return ((a >>> 0) % (operand >>> 0)) | 0
    case bpf.BPF_OR:
      return a | operand
    case bpf.BPF_AND:
      return a & operand
    case bpf.BPF_XOR:
      return a ^ operand
    // JavaScript takes a distance modulo 32; C leaves it open and libpcap makes it 0.
    case bpf.BPF_LSH:
      return operand >>> 0 < 32 ? a << operand : 0
    case bpf.BPF_RSH:
      return operand >>> 0 < 32 ? (a >>> operand) | 0 : 0
    default:
      return -a | 0
  }
}

function compare(operation: number, a: number, operand: number): boolean {
  switch (operation) {
    case bpf.BPF_JEQ:
      return a === operand
    case bpf.BPF_JGT:
      return a >>> 0 > operand >>> 0
    case bpf.BPF_JGE:
      return a >>> 0 >= operand >>> 0
    case bpf.BPF_JSET:
      return (a & operand) !== 0
    default:
      return true
  }
}
