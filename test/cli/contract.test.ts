import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { collectTable } from '../../src/cli/program.ts'
import { requires, SHARED_CAPTURES } from '../support/requirements.ts'

const names = collectTable().map((option) => option.long!)

function namesIn(text: string): string[] {
  return [...new Set([...text.matchAll(/--[a-z]+(?:-[a-z]+)*/g)].map(([name]) => name))]
}

test("README's table of options has every option, and no other", () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const section = readme.split('\n### Options\n')[1]!.split('\n### ')[0]!
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  const told = rows.flatMap((row) => namesIn(row.split(' | ')[0]!))
  const short: Record<string, string> = { '--quiet': '`-q`' }
  expect(told.filter((name) => !names.includes(name))).toEqual([])
  const untold = names.filter((name) => !told.includes(name) && !rows.some((row) => row.includes(short[name] ?? name)))
  expect(untold).toEqual([])
})

requires('shared-captures')('the command line has what the contract names', () => {
  const design = readFileSync(`${SHARED_CAPTURES}/../DESIGN.md`, 'utf8')
  const contract = design.split('## Command line')[1]!.split('```')[1]!
  const promised = namesIn(contract)
  expect(promised.length).toBeGreaterThan(15)
  expect(promised.filter((name) => !names.includes(name))).toEqual([])
})
