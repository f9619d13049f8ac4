import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { allocateSharedMemory, copierOf, openSharedMemory } from '../../src/dgram-extended/shared-memory.ts'

const SIZE = 3 * 65_536 + 100
const handle = allocateSharedMemory(SIZE)
const bytes = new Uint8Array(openSharedMemory(handle))

it('copies what was there, and nothing beside it', () => {
  const copy = copierOf(handle)!
  for (const [to, from, length] of [
    [7, 100_001, 1],
    [70_003, 3, 1400],
    [500, 503, 1000],
    [503, 500, 1000],
    [SIZE - 200, 0, 200],
    [0, SIZE - 65_535, 65_535],
    [12, 40, 0],
  ] as const) {
    bytes.set(randomBytes(SIZE))
    const expected = Buffer.from(bytes)
    expected.set(Buffer.from(bytes.slice(from, from + length)), to)
    copy(to, from, length)
    expect(expected.equals(bytes)).toBe(true)
  }
})

it('throws where the memory ends, rather than write behind it', () => {
  const copy = copierOf(allocateSharedMemory(65_536))!
  expect(() => copy(65_530, 0, 7)).toThrow()
})

it('leaves a SharedArrayBuffer to copyWithin', () => {
  expect(copierOf(new SharedArrayBuffer(SIZE))).toBeUndefined()
})
