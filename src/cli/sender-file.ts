import { readFileSync } from 'node:fs'
import { LineCounter, parseDocument } from 'yaml'
import { EXIT_CONFIGURATION, EXIT_NO_INPUT, Failure } from '../config/terms/failure.ts'

/**
 * The options of a mirror's YAML file: the command line's, under their own names (`source-port: 40000-50000`). Gives those
 * that are `taken`, by the names that the schema has for them. Throws Failure.
 */
export function readMirrorFile(
  path: string,
  known: readonly string[],
  taken: readonly string[],
): Record<string, string> {
  const lines = new LineCounter()
  const document = parseDocument(readText(path), { lineCounter: lines, prettyErrors: true })
  const [error] = document.errors
  if (error !== undefined) throw wrong(path, error.message.split('\n')[0]!.replace(/:$/, ''))
  const content: unknown = document.toJS()
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw wrong(path, 'it is no list of options')
  }
  const unknown = Object.keys(content).filter((key) => !known.includes(key))
  if (unknown.length > 0) throw wrong(path, unknown.map((key) => `"${key}" is no option${hint(key, known)}`).join(', '))
  const entries = Object.entries(content).flatMap(([key, value]): [string, string][] => {
    if (typeof value === 'string' || typeof value === 'number') {
      return taken.includes(key) ? [[camel(key), String(value)]] : []
    }
    throw wrong(path, `"${key}" has no value that is a text or a number`)
  })
  return Object.fromEntries(entries)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Failure(
      EXIT_NO_INPUT,
      `Cannot read the configuration: ${reason}`,
      'Give --config a file that can be read.',
    )
  }
}

function wrong(path: string, what: string): Failure {
  return new Failure(EXIT_CONFIGURATION, `${path}: ${what}.`, 'Its keys are the options of "mirror-sender up".')
}

function hint(key: string, known: readonly string[]): string {
  const nearest = known.toSorted((a, b) => distance(key, a) - distance(key, b))[0]
  return nearest === undefined ? '' : `; the nearest is "${nearest}"`
}

/** Levenshtein's: letters to change, add or leave out. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}

function camel(key: string): string {
  return key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
