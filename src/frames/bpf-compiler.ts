import * as bpf from './bpf.ts'
import { BpfInterpreter } from './bpf-interpreter.ts'

/** Each jump target is one more block inside another, and parsers have a limit; libpcap's own is far beyond. */
const MOST_INSTRUCTIONS = 2000

/**
 * A classic BPF program as a function. JavaScript is generated from it where that is allowed
 * (--disallow-code-generation-from-strings forbids it), as it runs several times as fast as the interpreter.
 */
export function createFilter(program: readonly bpf.BpfInstruction[]): bpf.FrameFilter {
  if (program.length <= MOST_INSTRUCTIONS && program.every(jumpsForward)) {
    try {
      return new Function('bytes', 'offset', 'captured', 'wireLength', toJavaScript(program)) as bpf.FrameFilter
    } catch (error) {
      if (!(error instanceof EvalError)) throw error
    }
  }
  const interpreter = new BpfInterpreter(program)
  return (bytes, offset, captured, wireLength) => interpreter.accepts(bytes, offset, captured, wireLength)
}

function jumpsForward({ code, k }: bpf.BpfInstruction): boolean {
  return code !== (bpf.BPF_JMP | bpf.BPF_JA) || (k | 0) >= 0
}

/**
 * Jumps lead forward only, so each target becomes the end of a labelled block that encloses all that comes before it, and
 * a jump becomes `break`. Nothing but numbers of the program gets into the text.
 */
function toJavaScript(program: readonly bpf.BpfInstruction[]): string {
  const targets = [...new Set(program.flatMap(targetsOf))].sort((one, other) => one - other)
  const lines = ['let a = 0, x = 0', declareMemory(program)]
  for (const target of targets.toReversed()) lines.push(`${label(target)}: {`)
  program.forEach((instruction, index) => {
    if (targets.includes(index)) lines.push('}')
    lines.push(statement(instruction, index))
  })
  return lines.join('\n')
}

/** Targets of jumps, the next instruction left out: what is there follows anyway. */
function targetsOf({ code, jt, jf, k }: bpf.BpfInstruction, index: number): number[] {
  if ((code & bpf.BPF_CLASS) !== bpf.BPF_JMP) return []
  const distances = (code & bpf.BPF_OP) === bpf.BPF_JA ? [k] : [jt, jf]
  return distances.filter((distance) => distance > 0).map((distance) => bpf.jumpTarget(index, distance))
}

function label(target: number): string {
  return `at${target}`
}

function declareMemory(program: readonly bpf.BpfInstruction[]): string {
  const stores = program.filter(({ code }) => [bpf.BPF_ST, bpf.BPF_STX].includes(code & bpf.BPF_CLASS))
  const loads = program.filter(({ code }) => (code & 0x06) === bpf.BPF_LD && (code & bpf.BPF_MODE) === bpf.BPF_MEM)
  const cells = new Set([...stores, ...loads].map(({ k }) => k))
  return cells.size === 0 ? '' : `let ${[...cells].map((cell) => `m${cell} = 0`).join(', ')}`
}

function statement(instruction: bpf.BpfInstruction, index: number): string {
  const { code, k } = instruction
  switch (code & bpf.BPF_CLASS) {
    case bpf.BPF_LD:
      return load('a', code, k)
    case bpf.BPF_LDX:
      return load('x', code, k)
    case bpf.BPF_ST:
      return `m${k} = a`
    case bpf.BPF_STX:
      return `m${k} = x`
    case bpf.BPF_ALU:
      return calculation(code, k)
    case bpf.BPF_JMP:
      return jump(instruction, index)
    case bpf.BPF_RET:
      return (code & bpf.BPF_RVAL) === bpf.BPF_A ? 'return a !== 0' : `return ${k !== 0}`
    default:
      return (code & bpf.BPF_MISCOP) === bpf.BPF_TAX ? 'x = a' : 'a = x'
  }
}

function load(register: string, code: number, k: number): string {
  switch (code & bpf.BPF_MODE) {
    case bpf.BPF_IMM:
      return `${register} = ${k | 0}`
    case bpf.BPF_LEN:
      return `${register} = wireLength | 0`
    case bpf.BPF_MEM:
      return `${register} = m${k}`
    case bpf.BPF_MSH:
      return `if (captured <= ${k}) return false; ${register} = (bytes[offset + ${k}] & 15) << 2`
    case bpf.BPF_IND:
      return `{ const i = (x >>> 0) + ${k}; ${read(register, code, 'i')} }`
    default:
      return read(register, code, String(k))
  }
}

function read(register: string, code: number, place: string): string {
  const byte = (i: number, shift: number) => `bytes[offset + ${place} + ${i}] << ${shift}`
  switch (code & bpf.BPF_SIZE) {
    case bpf.BPF_W:
      return `if (${place} + 4 > captured) return false; ${register} = ${byte(0, 24)} | ${byte(1, 16)} | ${byte(2, 8)} | ${byte(3, 0)}`
    case bpf.BPF_H:
      return `if (${place} + 2 > captured) return false; ${register} = ${byte(0, 8)} | ${byte(1, 0)}`
    default:
      return `if (${place} >= captured) return false; ${register} = bytes[offset + ${place}]`
  }
}

function calculation(code: number, k: number): string {
  const byX = (code & bpf.BPF_SRC) !== 0
  const operand = byX ? 'x' : String(k | 0)
  const divisor = byX ? '(x >>> 0)' : String(k)
  const refusal = byX ? 'if (x === 0) return false; ' : k === 0 ? 'return false; ' : ''
  // JavaScript takes a distance modulo 32; C leaves it open and libpcap makes it 0.
  const shift = (shifted: string) => (byX ? `a = x >>> 0 < 32 ? ${shifted} : 0` : k < 32 ? `a = ${shifted}` : 'a = 0')
  switch (code & bpf.BPF_OP) {
    case bpf.BPF_ADD:
      return `a = (a + ${operand}) | 0`
    case bpf.BPF_SUB:
      return `a = (a - (${operand})) | 0`
    case bpf.BPF_MUL:
      return `a = Math.imul(a, ${operand})`
    case bpf.BPF_DIV:
      return `${refusal}a = ((a >>> 0) / ${divisor}) | 0`
    case bpf.BPF_MOD:
      return `${refusal}a = ((a >>> 0) % ${divisor}) | 0`
    case bpf.BPF_OR:
      return `a |= ${operand}`
    case bpf.BPF_AND:
      return `a &= ${operand}`
    case bpf.BPF_XOR:
      return `a ^= ${operand}`
    case bpf.BPF_LSH:
      return shift(`a << ${operand}`)
    case bpf.BPF_RSH:
      return shift(`(a >>> ${operand}) | 0`)
    default:
      return 'a = -a | 0'
  }
}

function jump({ code, jt, jf, k }: bpf.BpfInstruction, index: number): string {
  const go = (distance: number) => (distance === 0 ? '' : `break ${label(bpf.jumpTarget(index, distance))}`)
  const unconditional = (code & bpf.BPF_OP) === bpf.BPF_JA
  if (unconditional) return go(k)
  const condition = comparison(code, k)
  if (jt === 0) return jf === 0 ? '' : `if (!(${condition})) ${go(jf)}`
  return `if (${condition}) ${go(jt)}${jf === 0 ? '' : `; else ${go(jf)}`}`
}

function comparison(code: number, k: number): string {
  const byX = (code & bpf.BPF_SRC) !== 0
  const signed = byX ? 'x' : String(k | 0)
  const unsigned = byX ? '(x >>> 0)' : String(k)
  switch (code & bpf.BPF_OP) {
    case bpf.BPF_JEQ:
      return `a === ${signed}`
    case bpf.BPF_JGT:
      return `(a >>> 0) > ${unsigned}`
    case bpf.BPF_JGE:
      return `(a >>> 0) >= ${unsigned}`
    default:
      return `(a & ${signed}) !== 0`
  }
}
