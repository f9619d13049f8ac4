/** One instruction of a classic BPF program (struct bpf_insn); dgram-extended's compileFilter() makes such. */
export interface BpfInstruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

/** Whether a frame is wanted. The bytes from `offset` on are those `captured`; `wireLength` is what `len` means. */
export type FrameFilter = (bytes: Uint8Array, offset: number, captured: number, wireLength: number) => boolean

/** <pcap/bpf.h>: the fields of an instruction's code. */
export const BPF_CLASS = 0x07
export const BPF_LD = 0x00
export const BPF_LDX = 0x01
export const BPF_ST = 0x02
export const BPF_STX = 0x03
export const BPF_ALU = 0x04
export const BPF_JMP = 0x05
export const BPF_RET = 0x06
export const BPF_MISC = 0x07

export const BPF_SIZE = 0x18
export const BPF_W = 0x00
export const BPF_H = 0x08
export const BPF_B = 0x10

export const BPF_MODE = 0xe0
export const BPF_IMM = 0x00
export const BPF_ABS = 0x20
export const BPF_IND = 0x40
export const BPF_MEM = 0x60
export const BPF_LEN = 0x80
export const BPF_MSH = 0xa0

export const BPF_OP = 0xf0
export const BPF_ADD = 0x00
export const BPF_SUB = 0x10
export const BPF_MUL = 0x20
export const BPF_DIV = 0x30
export const BPF_OR = 0x40
export const BPF_AND = 0x50
export const BPF_LSH = 0x60
export const BPF_RSH = 0x70
export const BPF_NEG = 0x80
export const BPF_MOD = 0x90
export const BPF_XOR = 0xa0

export const BPF_JA = 0x00
export const BPF_JEQ = 0x10
export const BPF_JGT = 0x20
export const BPF_JGE = 0x30
export const BPF_JSET = 0x40

/** The operand: k, or register X. */
export const BPF_SRC = 0x08
/** What is returned: k, or register A. */
export const BPF_RVAL = 0x18
export const BPF_A = 0x10
export const BPF_MISCOP = 0xf8
export const BPF_TAX = 0x00
export const BPF_TXA = 0x80

/** Words of scratch memory. */
export const BPF_MEMWORDS = 16

/**
 * Where a jump of the instruction at `index` leads. JA's distance is signed: `ip6 protochain` walks its headers in a
 * loop, and it alone jumps back.
 */
export function jumpTarget(index: number, distance: number): number {
  return index + 1 + (distance | 0)
}
