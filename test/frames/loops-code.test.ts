import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { compiledLoops } from '../support/compile-loops.ts'

it('is what the AssemblyScript beside it compiles to; else run: npm run generate', async () => {
  const text = readFileSync(new URL('../../src/frames/loops-code.ts', import.meta.url), 'utf8')
  expect(text).toBe(await compiledLoops())
})
