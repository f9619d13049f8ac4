import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type IdRange, NumberSet } from '../../src/frames/number-set.ts'

const VNI_MAX = 2 ** 24 - 1
const KEY_MAX = 2 ** 32 - 1

function allow(from: number, to: number = from): IdRange {
  return { from, to, deny: false }
}

function deny(from: number, to: number = from): IdRange {
  return { from, to, deny: true }
}

function members(ranges: readonly IdRange[], candidates: readonly number[]): number[] {
  const set = new NumberSet(ranges)
  return candidates.filter((id) => set.has(id))
}

test('identifiers and inclusive ranges are wanted, their neighbours are not', () => {
  const ids = [0, 1, 99, 100, 101, 199, 200, 250, 299, 300, VNI_MAX]
  expect(members([allow(100), allow(200, 299)], ids)).toEqual([100, 200, 250, 299])
})

test('a denial wins, before and behind the permission', () => {
  const ids = [199, 200, 249, 250, 251, 299]
  expect(members([allow(200, 299), deny(250)], ids)).toEqual([200, 249, 251, 299])
  expect(members([deny(250), allow(200, 299)], ids)).toEqual([200, 249, 251, 299])
})

test('with denials alone everything else is wanted', () => {
  const ids = [0, 6, 7, 8, VNI_MAX, VNI_MAX + 1, KEY_MAX]
  expect(members([deny(7), deny(KEY_MAX)], ids)).toEqual([0, 6, 8, VNI_MAX, VNI_MAX + 1])
})

test('the smallest and the largest VNI can be wanted', () => {
  const ids = [0, 1, VNI_MAX - 1, VNI_MAX, VNI_MAX + 1]
  expect(members([allow(0), allow(VNI_MAX)], ids)).toEqual([0, VNI_MAX])
})

test('keys above 24 bits are told apart, and from VNIs with the same low bits', () => {
  const ids = [5, VNI_MAX + 1, VNI_MAX + 6, KEY_MAX - 1, KEY_MAX]
  expect(members([allow(VNI_MAX + 6), allow(KEY_MAX)], ids)).toEqual([VNI_MAX + 6, KEY_MAX])
})

test('a range across the border of 24 bits is wanted on both sides', () => {
  const ids = [VNI_MAX - 2, VNI_MAX - 1, VNI_MAX, VNI_MAX + 1, VNI_MAX + 2, VNI_MAX + 3]
  const ranges = [allow(VNI_MAX - 1, VNI_MAX + 2), deny(VNI_MAX, VNI_MAX + 1)]
  expect(members(ranges, ids)).toEqual([VNI_MAX - 1, VNI_MAX + 2])
})

test('any list means what a plain Set would make of it', () => {
  const bases = [0, 1000, VNI_MAX - 20, KEY_MAX - 60]
  const range = fc
    .tuple(fc.constantFrom(...bases), fc.nat(40), fc.nat(20), fc.boolean())
    .map(([base, start, length, denied]): IdRange => ({ from: base + start, to: base + start + length, deny: denied }))
  const candidates = bases.flatMap((base) => Array.from({ length: 61 }, (_, i) => base + i))
  fc.assert(
    fc.property(fc.array(range, { maxLength: 6 }), (ranges) => {
      const expected = new Set(ranges.every((each) => each.deny) ? candidates : [])
      const apply = (denied: boolean, change: (id: number) => void): void => {
        for (const { from, to } of ranges.filter((each) => each.deny === denied)) {
          for (let id = from; id <= to; id++) change(id)
        }
      }
      apply(false, (id) => expected.add(id))
      apply(true, (id) => expected.delete(id))
      expect(members(ranges, candidates)).toEqual(candidates.filter((id) => expected.has(id)))
    }),
    { numRuns: 60 },
  )
})
