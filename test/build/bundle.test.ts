import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'

const BIN = dirname(BUILT_COMMAND)
const it = requires('build')

const textOf = (file: string) => readFileSync(join(BIN, file), 'utf8')

/** The files that are loaded with one. */
function loadedWith(file: string, known: Set<string> = new Set()): Set<string> {
  if (known.has(file)) return known
  known.add(file)
  for (const [, target] of textOf(file).matchAll(/^(?:import|export)\b[^;]*?"\.\/([^"]+)";$/gm))
    loadedWith(target!, known)
  return known
}

/** Packages that are in the files that are loaded with one. */
function packagesWith(file: string): string[] {
  const text = [...loadedWith(file)].map(textOf).join('\n')
  return [...new Set([...text.matchAll(/^\/\/ .*node_modules\/((?:@[^/]+\/)?[^/]+)/gm)].map(([, name]) => name!))]
}

it('a command answers signals before it loads anything', () => {
  for (const command of ['mirror-collector.js', 'mirror-sender.js']) expect([...loadedWith(command)]).toEqual([command])
})

it('threads load no package but at need', () => {
  const all = readdirSync(BIN).filter((file) => file.endsWith('.js'))
  const threads = all.flatMap((file) =>
    [...textOf(file).matchAll(/new URL\("\.\/([^"/]+\.js)", import\.meta\.url\)/g)].map(([, name]) => name!),
  )
  expect(new Set(threads).size).toBeGreaterThan(9)
  for (const thread of threads) expect([thread, packagesWith(thread)]).toEqual([thread, []])
  const program = all.find((file) => file.startsWith('program-'))!
  expect(packagesWith(program)).toEqual(expect.arrayContaining(['zod', 'commander', 'pino']))
})

it('a worker waits for none of the builtin modules that take their time and that few need', () => {
  const text = [...loadedWith('pipeline-worker.js')].map(textOf).join('\n')
  const builtin = [...text.matchAll(/^import .* from "node:([^"]+)";$/gm)].map(([, name]) => name)
  expect(builtin).toContain('fs')
  for (const name of ['child_process', 'crypto', 'dgram', 'http', 'v8', 'zlib']) expect(builtin).not.toContain(name)
})

it('the licence of every package inside is beside it', () => {
  const licences = textOf('THIRD-PARTY-LICENSES')
  const inside = readdirSync(BIN)
    .filter((file) => file.endsWith('.js'))
    .flatMap(packagesWith)
  expect(new Set(inside).size).toBeGreaterThan(5)
  for (const name of inside)
    expect(licences).toMatch(new RegExp(`^${name} [0-9.]+\\n\\n(.*\\n)*?.*(Licen[cs]e|Copyright)`, 'm'))
})
