import { expect, it } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { loopMemory } from '../support/loop-memory.ts'

const ROWS = 4
const { memory, loops } = loopMemory(4096)
const batch = new FrameBatch(memory, ROWS, { loops })

it('sums beyond 32 bits', () => {
  batch.wireLength.fill(0xffff_ffff)
  expect(loops.sum(batch.wireLength, 3)).toBe(3 * 0xffff_ffff)
  expect(loops.sum(batch.wireLength, 0)).toBe(0)
})

it('tells the first and the last second of the records that it lays out, and of no others', () => {
  const rows = batch.room.uint16(ROWS)
  rows.set([2, 0, 1])
  batch.seconds.set([7, 9, 8, 1])
  batch.captured.fill(4)
  // What is touched ahead of a ring's reader is known from call to call, whatever records are laid out between them.
  loops.readBlock(batch, 0, 2048, 2048, 4096, rows)
  expect(loops.layRecords(batch, rows, 0, 3, 1, 1024, 4096)).toBe(3)
  expect([loops.recordsEnd, loops.firstSecond, loops.lastSecond]).toEqual([1024 + 3 * 20, 7, 9])
  // The second record ends at the limit, the third would end behind it.
  expect(loops.layRecords(batch, rows, 0, 3, 1, 1024, 1024 + 2 * 20)).toBe(2)
  expect([loops.recordsEnd, loops.firstSecond, loops.lastSecond]).toEqual([1024 + 2 * 20, 7, 8])
  expect(loops.at).toBe(2048)
})
