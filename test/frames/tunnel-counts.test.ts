import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TunnelCounts } from '../../src/frames/tunnel-counts.ts'

function memoryFor(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(TunnelCounts.bytesFor(capacity))
}

/** In two batches, of which the last rows are not in use. */
function add(counts: TunnelCounts, ids: readonly number[]): void {
  const half = ids.length >> 1
  for (const part of [ids.slice(0, half), ids.slice(half)]) {
    counts.add(Uint32Array.from([...part, part.at(-1) ?? 0, 5]), part.length)
  }
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

test('nothing has been counted at first', () => {
  expect(new TunnelCounts(memoryFor(10), 10).toObject()).toEqual({})
})

test('frames are counted by identifier, also 0 and the largest ones', () => {
  const counts = new TunnelCounts(memoryFor(10), 10)
  add(counts, [0, 100, 100, 0xffffff, 0, 100, 0xffffffff])
  expect(counts.toObject()).toEqual({ 0: 2, 100: 3, 16777215: 1, 4294967295: 1 })
})

test('identifiers come in ascending order', () => {
  const counts = new TunnelCounts(memoryFor(10), 10)
  add(counts, [300, 7, 0xffffffff, 20])
  expect(Object.keys(counts.toObject()).slice(0, 3)).toEqual(['7', '20', '300'])
})

test('identifiers beyond the capacity are counted together; the ones before stay exact', () => {
  const counts = new TunnelCounts(memoryFor(3), 3)
  add(counts, [1, 2, 3, 4, 5, 4, 1, 3, 5, 5])
  expect(counts.toObject()).toEqual({ 1: 2, 2: 1, 3: 2, other: 5 })
})

test('a second view of the same memory reads what the first has counted', () => {
  const memory = memoryFor(5)
  const writer = new TunnelCounts(memory, 5)
  const reader = new TunnelCounts(memory, 5)
  add(writer, [9, 9, 1, 2, 3, 4, 5, 6])
  expect(reader.toObject()).toEqual(writer.toObject())
})

test('16 million VNIs are counted in a fixed table, quickly, and every frame once', () => {
  const capacity = 4096
  const counts = new TunnelCounts(memoryFor(capacity), capacity)
  const started = performance.now()
  const batch = new Uint32Array(1024)
  for (let vni = 0; vni < 2 ** 24; vni += batch.length) {
    for (let row = 0; row < batch.length; row++) batch[row] = vni + row
    counts.add(batch, batch.length)
  }
  expect(performance.now() - started).toBeLessThan(5000)
  const result = counts.toObject()
  expect(Object.keys(result).length).toBe(capacity + 1)
  expect(result.other).toBe(2 ** 24 - capacity)
  expect(sum(result)).toBe(2 ** 24)
})

test('any sequence is counted as a Map counts it', () => {
  const id = fc.oneof(fc.nat(20), fc.nat(0xffffff), fc.constantFrom(2 ** 31, 2 ** 32 - 1))
  fc.assert(
    fc.property(fc.array(id, { maxLength: 300 }), fc.integer({ min: 1, max: 30 }), (ids, capacity) => {
      const counts = new TunnelCounts(memoryFor(capacity), capacity)
      const model = new Map<string, number>()
      add(counts, ids)
      for (const each of ids) {
        const key = model.has(`${each}`) || model.size - Number(model.has('other')) < capacity ? `${each}` : 'other'
        model.set(key, (model.get(key) ?? 0) + 1)
      }
      expect(counts.toObject()).toEqual(Object.fromEntries(model))
    }),
    { numRuns: 500 },
  )
})
