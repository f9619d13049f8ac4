import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

// npm runs `prepare` behind `npm ci`, and again for the first `npx mirror-collector`: 14 silent seconds, which replaced what ran meanwhile.
const PROGRAM = 'dist/bin/mirror-collector.js'
const OTHER_INPUTS = ['package.json', 'package-lock.json', 'tsconfig.json']

if (!isBuilt()) execFileSync('npm', ['run', 'build'], { stdio: 'inherit' })

function isBuilt(): boolean {
  const built = changedAt(PROGRAM) ?? 0
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).map((name) => join('src', name))
  return [...sources, ...OTHER_INPUTS].every((path) => (changedAt(path) ?? 0) < built)
}

/** Milliseconds; undefined when it is not there. */
function changedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}
