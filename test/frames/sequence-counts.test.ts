import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SequenceCounts } from '../../src/frames/sequence-counts.ts'

const NOTHING = { lost: 0, reordered: 0, duplicated: 0, restarts: 0 }

function counted(numbers: readonly number[]): ReturnType<SequenceCounts['of']> {
  const counts = new SequenceCounts(new SharedArrayBuffer(SequenceCounts.bytesFor(2)), 2)
  for (const number of numbers) {
    counts.add(1, number)
    counts.add(0, 5)
  }
  return counts.of(1)
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

test.each([
  ['one after the other', range(5, 2000), NOTHING],
  ['a gap', [1, 2, 6, 7], { ...NOTHING, lost: 3 }],
  ['two changed places', [1, 3, 2, 4], { ...NOTHING, reordered: 1 }],
  ['late by as many as the window holds', [1, ...range(3, 1026), 2], { ...NOTHING, reordered: 1 }],
  ['later than that', [1, ...range(3, 1028), 2], { ...NOTHING, lost: 1 }],
  ['twice', [1, 2, 2, 3, 3], { ...NOTHING, duplicated: 2 }],
  ['late, and twice', [1, 3, 2, 2], { ...NOTHING, reordered: 1, duplicated: 1 }],
  ['always the same', [0, 0, 0], { ...NOTHING, duplicated: 2 }],
  ['over the end of 32 bits', [0xfffffffe, 0xffffffff, 0, 1], NOTHING],
  ['a gap over the end of 32 bits', [0xfffffffe, 2], { ...NOTHING, lost: 3 }],
  ['late over the end of 32 bits', [0xfffffffe, 0, 0xffffffff, 1], { ...NOTHING, reordered: 1 }],
  ['over the end of 30 bits', [0x3ffffffe, 0x3fffffff, 0, 1], NOTHING],
  ['late over the end of 30 bits', [0x3ffffffe, 0, 0x3fffffff, 1], { ...NOTHING, reordered: 1 }],
  ['past 30 bits and on', [0x3fffffff, 0x40000000, 0x40000001], NOTHING],
  ['from 0 again', [...range(100_000, 100_010), 0, 1, 2, 3], { ...NOTHING, restarts: 1 }],
  ['from far ahead', [1, 2, 0x5000_0000, 0x5000_0001, 0x5000_0003], { ...NOTHING, restarts: 1, lost: 1 }],
  ['one stray', [5000, 5001, 9, 5002, 5003], NOTHING],
])('numbers that come %s', (_, numbers, expected) => {
  expect(counted(numbers)).toEqual(expected)
})

test('what is left out is lost, whatever order the others come in, within the window', () => {
  const numbers = fc.uniqueArray(fc.nat(4000), { minLength: 2, maxLength: 1500 })
  const starts = fc.constantFrom(0, 0x3ffff800, 0xfffff800, 0x12345678)
  fc.assert(
    fc.property(numbers, starts, fc.nat(), (chosen, start, seed) => {
      const range30 = start === 0x3ffff800 ? 2 ** 30 : 2 ** 32
      const ascending = [...chosen].sort((a, b) => a - b)
      // The first and the last stay where they are; others move by fewer places than the window has.
      const middle = ascending.slice(1, -1)
      let state = seed % 0x7fffffff || 1
      const keyed = middle.map((number) => {
        state = (state * 48_271) % 0x7fffffff
        return { number, key: number + (state % 500) }
      })
      const moved = keyed.sort((a, b) => a.key - b.key).map(({ number }) => number)
      const order = [ascending[0]!, ...moved, ascending.at(-1)!]
      const result = counted(order.map((number) => (start + number) % range30))
      const span = ascending.at(-1)! - ascending[0]! + 1
      expect(result).toMatchObject({ lost: span - chosen.length, duplicated: 0, restarts: 0 })
    }),
    { numRuns: 300 },
  )
})
