import { afterEach, expect, test } from 'vitest'
import { BpfProgram } from '../../src/dgram-extended/bpf-program.ts'
import { closeDescriptor } from '../../src/dgram-extended/libc.ts'
import { EbpfAssembler, FP, R0, R1, R6 } from '../../src/sender/ebpf-assembler.ts'
import { openProgram, runProgram } from '../support/bpf-run.ts'
import { requires } from '../support/requirements.ts'

const it = requires('root', 'linux')
const FRAME = Buffer.alloc(60)

const programs: BpfProgram[] = []
afterEach(() => {
  for (const program of programs.splice(0)) program.close()
})

/** What the kernel returns from the program. */
function run(write: (code: EbpfAssembler) => void): number {
  const code = new EbpfAssembler()
  write(code)
  code.exit()
  const program = BpfProgram.load('test', code.assemble())
  programs.push(program)
  const fd = openProgram(program.path)
  try {
    return runProgram(fd, FRAME)!.action >>> 0
  } finally {
    closeDescriptor(fd)
  }
}

const [A, B] = [0x9abcdef1, 0x13]

it.each([
  ['add', A + B],
  ['sub', A - B],
  ['mul', Number((BigInt(A) * BigInt(B)) & 0xffff_ffffn)],
  ['or', A | B],
  ['and', A & B],
  ['lsh', A << B],
  ['rsh', A >>> B],
  ['xor', A ^ B],
  ['mov', B],
] as const)('%s is computed by the kernel as named, from a register and from a number', (operation, expected) => {
  const fromNumber = run((code) => {
    code.set(R0, A | 0)
    code.alu(operation, R0, B)
  })
  const fromRegister = run((code) => {
    code.set(R0, A | 0)
    code.set(R1, B)
    code.alu(operation, R0, R1)
  })
  expect([fromNumber, fromRegister]).toEqual([expected >>> 0, expected >>> 0])
})

it.each([
  ['eq', [false, true, false]],
  ['ne', [true, false, true]],
  ['gt', [false, false, true]],
  ['ge', [false, true, true]],
  ['lt', [true, false, false]],
  ['le', [true, true, false]],
  ['set', [true, true, true]],
] as const)('%s jumps where it holds', (condition, expected) => {
  const taken = [7, 11, 15].map(
    (left) =>
      run((code) => {
        const holds = code.label('holds')
        code.set(R6, left)
        code.set(R0, 1)
        code.jumpIf(condition, R6, 11, holds)
        code.set(R0, 0)
        code.place(holds)
      }) === 1,
  )
  expect(taken).toEqual(expected)
})

it('the stack gives back what was stored, and numbers in network order are read as such', () => {
  const result = run((code) => {
    code.set(R1, 0x11223344)
    code.store(32, FP, -8, R1)
    code.load(16, R0, FP, -8)
    code.fromNetwork(16, R0)
    code.load(8, R1, FP, -5)
    code.alu('lsh', R1, 16)
    code.alu('or', R0, R1)
  })
  expect(result).toBe(0x114433)
})

test('a label that is placed twice, never, or before its jump is refused', () => {
  const twice = new EbpfAssembler()
  const label = twice.label('here')
  twice.place(label)
  expect(() => twice.place(label)).toThrow('label here is placed twice')
  twice.jump(label)
  expect(() => twice.assemble()).toThrow('not placed behind its jump')
  const never = new EbpfAssembler()
  never.jump(never.label('nowhere'))
  expect(() => never.assemble()).toThrow('label nowhere')
})
