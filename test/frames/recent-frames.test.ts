import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LONGEST_WINDOW_MS, RecentFrames } from '../../src/frames/recent-frames.ts'

/** What the table should do, by searching a list; times in microseconds. */
class Model {
  readonly #window: number
  readonly #kept: { readonly key: string; readonly time: number }[] = []

  constructor(windowMs: number) {
    this.#window = windowMs * 1000
  }

  hasOrAdd(key: string, time: number): boolean {
    if (this.#kept.some((frame) => frame.key === key && Math.abs(frame.time - time) <= this.#window)) return true
    this.#kept.push({ key, time })
    return false
  }
}

function ask(recent: RecentFrames, key: number, time: number): boolean {
  return recent.hasOrAdd(key, ~key, Math.floor(time / 1e6), (time % 1e6) * 1000)
}

test('a frame is known for as long as the window, before and after, from the time it was kept', () => {
  const recent = new RecentFrames(50)
  const start = 1_000_000
  expect(ask(recent, 7, start)).toBe(false)
  expect([0, 1, 49_999, 50_000, -1, -50_000].map((later) => ask(recent, 7, start + later))).toEqual(
    new Array(6).fill(true),
  )
  expect(ask(recent, 7, start + 50_001)).toBe(false)
  expect(ask(recent, 7, start + 100_001)).toBe(true)
  expect(recent.forgotten).toBe(0)
})

test('frames of 1970 are no copies of those that never were', () => {
  const recent = new RecentFrames(LONGEST_WINDOW_MS)
  expect(recent.hasOrAdd(0, 0, 0, 0)).toBe(false)
  expect(recent.hasOrAdd(0, 0, 0, 0)).toBe(true)
  expect(recent.hasOrAdd(0, 0, 4_294_967_295, 999_999_999)).toBe(false)
  expect(recent.hasOrAdd(0, 0, 4_294_967_295, 999_999_999)).toBe(true)
})

test('both halves of the fingerprint count', () => {
  const recent = new RecentFrames(50)
  expect(recent.hasOrAdd(1, 2, 1, 0)).toBe(false)
  expect(recent.hasOrAdd(1, 3, 1, 0)).toBe(false)
  expect(recent.hasOrAdd(2, 2, 1, 0)).toBe(false)
  expect(recent.hasOrAdd(1, 2, 1, 0)).toBe(true)
})

test('answers are those of a list without end, also where clocks jump back', () => {
  const step = fc.tuple(fc.nat(40), fc.oneof(fc.integer({ min: -2000, max: 20_000 }), fc.constant(-5_000_000)))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.array(step, { maxLength: 200 }), (windowMs, steps) => {
      const recent = new RecentFrames(windowMs)
      const model = new Model(windowMs)
      let time = 1e12
      for (const [frame, later] of steps) {
        time += later
        // 0x9e3779b1: no two of so few share a place with three others.
        const key = Math.imul(frame, 0x9e3779b1)
        expect(ask(recent, key, time)).toBe(model.hasOrAdd(String(frame), time))
      }
      expect(recent.forgotten).toBe(0)
    }),
  )
})

test('where a place is full the frame that was kept first is forgotten, and that is counted', () => {
  const recent = new RecentFrames(50)
  // The same low bits: the same place, which has room for four.
  const keys = [1, 2, 3, 4, 5].map((i) => i << 24)
  keys.forEach((key, i) => {
    expect(ask(recent, key, 1_000_000 + 1000 * i)).toBe(false)
  })
  expect(recent.forgotten).toBe(1)
  expect(keys.slice(1).map((key) => ask(recent, key, 1_005_000))).toEqual([true, true, true, true])
  expect(ask(recent, keys[0]!, 1_005_000)).toBe(false)
  // Once the window is over, nothing that mattered is forgotten.
  const before = recent.forgotten
  for (const key of keys) ask(recent, key, 2_000_000)
  expect(recent.forgotten).toBe(before + 1)
})
