import { expect, test } from 'vitest'
import { FrameBudget } from '../../src/pipeline/frame-budget.ts'
import { Random } from '../fuzz/random.ts'

test('workers that take turns at random deliver so many frames together, and never one more', () => {
  const TOTAL = 5000
  const random = new Random(3)
  const memory = FrameBudget.allocate(TOTAL, 3)
  const workers = [0, 1, 2].map((worker) => ({ budget: new FrameBudget(memory, worker), claim: 0, delivered: 0 }))
  const sum = () => workers.reduce((all, { delivered }) => all + delivered, 0)
  for (let turn = 0; turn < 10_000; turn++) {
    const worker = workers[random.below(3)]!
    if (worker.claim === 0) worker.claim = worker.budget.claim(64, worker.delivered)
    else {
      // Most rows bring a frame, some are refused, and some workers die on the way.
      worker.delivered += random.below(worker.claim + 1)
      worker.budget.settle(worker.delivered)
      worker.claim = 0
    }
    expect(sum()).toBeLessThanOrEqual(TOTAL)
    if (workers[0]!.budget.isSpent(TOTAL)) expect(sum()).toBe(TOTAL)
  }
  expect(workers.every(({ budget }) => budget.isSpent(TOTAL))).toBe(true)
})
