import { expect, test } from 'vitest'
import { KernelDrops } from '../../src/dgram-extended/kernel-drops.ts'

test("the total goes on where the kernel's 32 bits begin again", () => {
  const readings = [0, 5, 0xffff_ffff, 3, 0x8000_0000, 2]
  const counter = readings.values()
  const drops = new KernelDrops(() => counter.next().value)
  const totals = readings.map(() => drops.total())
  expect(totals).toEqual([0, 5, 0xffff_ffff, 0x1_0000_0003, 0x1_8000_0000, 0x2_0000_0002])
})

test('where nobody tells, the total stays what it was', () => {
  const readings = [undefined, 7, undefined, 9]
  const counter = readings.values()
  const drops = new KernelDrops(() => counter.next().value)
  expect(readings.map(() => drops.total())).toEqual([0, 7, 7, 9])
})
