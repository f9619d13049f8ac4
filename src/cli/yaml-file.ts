import { closeSync, openSync, readSync } from 'node:fs'
import type { Document, LineCounter, Node } from 'yaml'
import { EXIT_CONFIGURATION, EXIT_NO_INPUT, Failure } from '../config/terms/failure.ts'
import { nearestHint, nearestName } from '../config/terms/nearest.ts'
import { listProblems, problem } from '../config/terms/problem.ts'
import { yaml } from './yaml.ts'

const HOW_KEYS = 'Its keys are the options of the command line, by their long names.'

/** One `key: value` of a mapping, with its place as FILE:LINE:COLUMN. */
export interface YamlEntry {
  readonly key: string
  readonly value: Node | undefined
  readonly place: string
}

/** A YAML file that is a mapping of options; whatever is said about it names line and column. */
export class YamlFile {
  readonly #path: string
  readonly #document: Document
  readonly #lines: LineCounter = new (yaml().LineCounter)()

  /** Throws a Failure that tells all errors of syntax. */
  constructor(path: string) {
    this.#path = path
    const settings = { lineCounter: this.#lines, prettyErrors: false }
    this.#document = yaml().parseDocument(readText(path), settings)
    const errors = this.#document.errors.map(({ message, pos }) => `${this.#at(pos[0])}: ${inOurWords(message)}.`)
    if (errors.length > 0) throw new Failure(EXIT_CONFIGURATION, listProblems(errors), 'Mend the syntax of this YAML.')
  }

  /** Of the file. Empty for an empty one. Throws a Failure where it is no mapping. */
  entries(): YamlEntry[] {
    const { contents } = this.#document
    if (contents === null || (yaml().isScalar(contents) && contents.value === null)) return []
    const entries = this.entriesOf(contents as Node)
    if (entries !== undefined) return entries
    throw new Failure(EXIT_CONFIGURATION, `${this.#path}: it is no list of options, each "name: value".`, HOW_KEYS)
  }

  /** Undefined where the node is no mapping. */
  entriesOf(node: Node): YamlEntry[] | undefined {
    if (!yaml().isMap(node)) return undefined
    return node.items.map(({ key, value }) => ({
      key: yaml().isScalar(key) ? textOf(key as Node)! : String(key),
      value: this.resolved(value as Node | null),
      place: this.placeOf((value as Node | null) ?? (key as Node)),
    }))
  }

  /** What an alias stands for; undefined for nothing. */
  resolved(node: Node | null): Node | undefined {
    return (yaml().isAlias(node) ? node.resolve(this.#document) : node) ?? undefined
  }

  placeOf(node: Node): string {
    return this.#at(node.range?.[0] ?? 0)
  }

  #at(offset: number): string {
    const { line, col } = this.#lines.linePos(offset)
    return `${this.#path}:${line}:${col}`
  }
}

/** A scalar as it is written, so that 0100 and 1e3 stay what they are; undefined for what is none, or says nothing. */
export function textOf(node: Node | undefined): string | undefined {
  if (!yaml().isScalar(node) || node.value === null) return undefined
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value))
}

/** What a message says about a key that is none. */
export function unknownKey(key: string, known: readonly string[]): string {
  const mend = nearestName(key, known) === undefined ? `${HOW_KEYS.slice(0, -1)}: ${known.join(', ')}.` : HOW_KEYS
  return problem(`"${key}" is no option${nearestHint(key, known)}`, mend)
}

function inOurWords(message: string): string {
  return message.includes('call stack') ? 'it is nested too deeply' : message
}

/** No configuration is larger; a device may have no end. */
const LARGEST_FILE = 1 << 20

function readText(path: string): string {
  const bytes = readStart(path)
  if (bytes.length <= LARGEST_FILE) return bytes.toString()
  throw new Failure(EXIT_CONFIGURATION, `${path} is larger than 1 MiB.`, 'Give --config a file of options.')
}

/** One byte more than may be, at most. */
function readStart(path: string): Buffer {
  try {
    const bytes = Buffer.alloc(LARGEST_FILE + 1)
    const fd = openSync(path, 'r')
    try {
      let length = 0
      for (let count = 1; count > 0 && length < bytes.length; length += count)
        count = readSync(fd, bytes, length, bytes.length - length, null)
      return bytes.subarray(0, length)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const [why, mend] = UNREADABLE.get(code) ?? [code, 'Give --config a file that can be read.']
    throw new Failure(EXIT_NO_INPUT, `Cannot read the configuration ${path}: ${why}.`, mend)
  }
}

/** What happened, and how to mend it. */
const UNREADABLE: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['ENOENT', ['there is no such file', 'Check the path behind --config.']],
  ['ENOTDIR', ['there is no such file', 'Check the path behind --config.']],
  ['EACCES', ['permission denied', 'Let the user that runs this program read it, and enter the folders above it.']],
  ['EISDIR', ['it is a directory', 'Name one file in it.']],
])
