import { expect, test } from 'vitest'
import { openSharedMemory } from '../../src/dgram-extended/shared-memory.ts'
import { Slab, type SlabPart } from '../../src/pipeline/slab.ts'
import { Random } from '../fuzz/random.ts'

const PAGE = 4096

test('parts lie on pages, apart from each other, and what is given back can be had again', () => {
  const slab = new Slab(8 * PAGE, false)
  const first = slab.take(PAGE + 1)
  const second = slab.take(PAGE)
  const third = slab.take(5 * PAGE)
  expect([first, second, third].map(({ byteOffset }) => byteOffset / PAGE)).toEqual([0, 2, 3])
  expect(() => slab.take(1)).toThrow('no room')
  expect(slab.take(0)).toEqual({ byteOffset: 0, byteLength: 0 })
  slab.giveBack(first)
  slab.giveBack(third)
  slab.giveBack(second)
  expect(slab.take(8 * PAGE).byteOffset).toBe(0)
})

test('memory that was given back is empty again, and that around it is as it was', () => {
  const slab = new Slab(3 * PAGE, false)
  const parts = [slab.take(PAGE), slab.take(PAGE), slab.take(PAGE)] as const
  const bytes = new Uint8Array(openSharedMemory(slab.memory)).fill(7)
  slab.giveBack(parts[1])
  expect([bytes[PAGE - 1], bytes[PAGE], bytes[2 * PAGE - 1], bytes[2 * PAGE]]).toEqual([7, 0, 0, 7])
})

test('parts that come and go at random never overlap', () => {
  const random = new Random(11)
  const slab = new Slab(64 * PAGE, false)
  const taken: SlabPart[] = []
  for (let round = 0; round < 2000; round++) {
    if (taken.length > 0 && random.below(2) === 0) slab.giveBack(taken.splice(random.below(taken.length), 1)[0]!)
    else {
      try {
        taken.push(slab.take(1 + random.below(9 * PAGE)))
      } catch {
        // It is full.
      }
    }
    const sorted = [...taken].sort((a, b) => a.byteOffset - b.byteOffset)
    for (const [i, part] of sorted.entries()) {
      expect(part.byteOffset + part.byteLength).toBeLessThanOrEqual(sorted[i + 1]?.byteOffset ?? 64 * PAGE)
    }
  }
  for (const part of taken) slab.giveBack(part)
  expect(slab.take(64 * PAGE).byteOffset).toBe(0)
})
