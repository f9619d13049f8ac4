import { expect, test } from 'vitest'
import { growthOf } from './memory.ts'

/** A sample a second; `level` in MiB by minutes. */
function growth(minutes: number, level: (minute: number) => number): number | undefined {
  const seconds = Array.from({ length: minutes * 60 + 1 }, (_, i) => i)
  return growthOf(
    seconds,
    seconds.map((at) => level(at / 60)),
  )
}

test('what is gained at a steady pace is seen, in a short life and in a long one', () => {
  expect(growth(4, (minute) => 200 + 6 * minute)).toBeCloseTo(18)
  expect(growth(80, (minute) => 200 + 0.5 * minute)).toBeCloseTo(20)
})

test('what settles is not taken for a leak, nor is a heap that grows and is collected', () => {
  expect(growth(80, (minute) => 290 + Math.min(minute, 35) * 0.6)).toBeLessThan(1)
  expect(Math.abs(growth(80, (minute) => 290 + 20 * (minute % 1))!)).toBeLessThan(2)
})

test('three minutes are the least that tells anything', () => {
  expect(growth(2, (minute) => 200 + 50 * minute)).toBeUndefined()
})
