import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const TEST = new URL('../', import.meta.url).pathname

test('what floods lies in test/alone, where nothing runs beside it', () => {
  const files = readdirSync(TEST, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts'))
  const flooding = files.filter((file) => /import .*\bFlood\b.* from/.test(readFileSync(join(TEST, file), 'utf8')))
  expect(flooding.length).toBeGreaterThan(5)
  expect(flooding.filter((file) => !file.startsWith('alone/'))).toEqual([])
})
