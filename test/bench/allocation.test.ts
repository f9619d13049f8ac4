import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { collections } from './allocation.ts'

const FLAGS = ['--trace-gc', '--max-semi-space-size=1']

function trace(script: string): string {
  const { stdout, status } = spawnSync(process.execPath, [...FLAGS, '-e', script], { encoding: 'utf8' })
  expect(status).toBe(0)
  return stdout
}

test('what a program allocates is seen to a few per cent', () => {
  // 2 M arrays of 4 doubles: four words of array, two of its elements' header, four of elements.
  const { bytes, count } = collections(trace('let a; for (let i = 0; i < 2e6; i++) a = [i + 0.5, i, i, i]'))
  expect(count).toBeGreaterThan(10)
  expect(bytes / 2e6).toBeGreaterThan(78)
  expect(bytes / 2e6).toBeLessThan(84)
})

test('the allocations of a worker thread are seen beside those of the main thread', () => {
  const work = 'let a; for (let i = 0; i < 1e6; i++) a = [i + 0.5, i, i, i]'
  const both = `${work}; new (require('node:worker_threads').Worker)(${JSON.stringify(work)}, { eval: true })`
  expect(collections(trace(both)).bytes / 1e6).toBeGreaterThan(2 * 78)
})

test('a loop over typed arrays alone allocates less than can be seen', () => {
  const idle = collections(trace(''))
  const loop = 'const a = new Float64Array(64); for (let i = 0; i < 2e7; i++) a[i & 63] += i'
  const { bytes } = collections(trace(loop))
  // Until V8 has compiled the loop, which takes it long on a busy machine, each turn makes a number of 12 bytes.
  expect((bytes - idle.bytes) / 2e7).toBeLessThan(1)
})
