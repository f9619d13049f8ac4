import { spawnSync } from 'node:child_process'
import { expect } from 'vitest'
import { requires } from '../support/requirements.ts'

const PROGRAM = new URL('free-blocks.ts', import.meta.url).pathname

/** What the kernel says is resident of 64 MiB while they are in use, and when they have been freed. */
function residentKibibytes(how: 'give' | 'keep'): number[] {
  const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', PROGRAM, how], { encoding: 'utf8' })
  expect(stderr).toBe('')
  return stdout.split(' ').map(Number)
}

requires('linux')('freed memory goes back to the kernel, where glibc would keep it', () => {
  const [usedBefore, keptBefore] = residentKibibytes('keep')
  const [used, kept] = residentKibibytes('give')
  for (const inUse of [usedBefore, used]) expect(inUse).toBeGreaterThan(60 * 1024)
  expect(keptBefore).toBeGreaterThan(40 * 1024)
  expect(kept).toBeLessThan(8 * 1024)
})
