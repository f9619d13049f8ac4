import type { Option } from 'commander'
import type { Node } from 'yaml'
import { MOST_PROBLEMS, problem } from '../config/terms/problem.ts'
import { yaml } from './yaml.ts'
import { textOf, unknownKey, YamlFile } from './yaml-file.ts'

/** Values by the names that the schema has for them, as the command line would have given them. */
export type Given = Record<string, unknown>

/** What a file says: values, where each stands, and what is wrong with it already. */
export interface FileOptions {
  readonly values: Given
  /** By pathKey(); also of parts of a value. */
  readonly places: ReadonlyMap<string, string>
  readonly problems: readonly string[]
}

export function pathKey(path: readonly PropertyKey[]): string {
  return path.map(String).join('\n')
}

/** Its value comes from a list in a file as one text with commas. */
function isList(option: Option): boolean {
  return option.flags.includes('<list>')
}

/** An option that may be given more than once keeps all its values. */
export function isRepeated(option: Option): boolean {
  return option.parseArg !== undefined && option.argChoices === undefined
}

/** Reads an option file. `taken`: the options that count here; the `known` others may stand in it, too. Throws Failure. */
export function readOptionFile(path: string, known: readonly Option[], taken: readonly Option[]): FileOptions {
  return new OptionFileReader(path).read(known, taken)
}

class OptionFileReader {
  readonly #file: YamlFile
  readonly #values: Given = {}
  readonly #places: Map<string, string> = new Map()
  readonly #problems: string[] = []

  constructor(path: string) {
    this.#file = new YamlFile(path)
  }

  read(known: readonly Option[], taken: readonly Option[]): FileOptions {
    const names = known.map((option) => option.name())
    for (const { key, value, place } of this.#file.entries()) {
      const option = taken.find((each) => each.name() === key)
      // The search for the nearest name is for those that are shown.
      if (!names.includes(key))
        this.#problems.push(this.#problems.length < MOST_PROBLEMS ? `${place}: ${unknownKey(key, names)}` : '')
      else if (option !== undefined) this.#take(option, value, place)
    }
    return { values: this.#values, places: this.#places, problems: this.#problems }
  }

  #take(option: Option, node: Node | undefined, place: string): void {
    const attribute = option.attributeName()
    this.#places.set(pathKey([attribute]), `${place}: ${option.name()}: `)
    const value = this.#value(option, node)
    if (typeof value === 'string' && value.includes('\n')) this.#problems.push(`${place}: ${option.name()} ${value}`)
    else this.#values[attribute] = value
  }

  /** A text of two lines tells what is wrong. */
  #value(option: Option, node: Node | undefined): unknown {
    const text = textOf(node)
    if (option.isBoolean()) {
      if (text === 'true' || text === 'false') return text === 'true'
      return problem('is neither true nor false', `Write ${option.name()}: true, or leave it out.`)
    }
    if (isRepeated(option)) return this.#several(option, node)
    if (isList(option) && yaml().isSeq(node)) return this.#joined(option, node.items as Node[])
    return text?.replace(/\n$/, '').replaceAll('\n', ' ') ?? noValue(option)
  }

  #joined(option: Option, items: readonly Node[]): string {
    const texts = items.map((item) => textOf(this.#file.resolved(item)))
    return texts.some((text) => text === undefined) || texts.length === 0 ? noValue(option) : texts.join(',')
  }

  #several(option: Option, node: Node | undefined): unknown {
    const items = yaml().isSeq(node) ? (node.items as Node[]) : node === undefined ? [] : [node]
    const values: string[] = []
    for (const [i, item] of items.entries()) {
      const resolved = this.#file.resolved(item)
      const path = [option.attributeName(), i]
      this.#places.set(pathKey(path), `${this.#file.placeOf(item)}: ${option.name()}: `)
      const text = textOrNull(option, resolved) ?? this.#fromMapping(path, option, resolved)
      if (text === undefined) return noValue(option)
      if (text.includes('\n')) return text
      values.push(text)
    }
    return values.length === 0 ? noValue(option) : values
  }

  /** `{type: pcap, target: a.pcap, rotate: 1h}` -> `pcap:a.pcap?rotate=1h`, which the schema then reads as any other. */
  #fromMapping(path: readonly PropertyKey[], option: Option, node: Node | undefined): string | undefined {
    const entries = node && this.#file.entriesOf(node)
    if (entries === undefined) return undefined
    const settings = new Map<string, string>()
    for (const { key, value, place } of entries) {
      const text = key === 'type' ? textOrNull(option, value) : textOf(value)
      if (text === undefined) return problem(`has no value at "${key}"`, HOW_SINK)
      this.#places.set(pathKey([...path, key]), `${place}: ${option.name()}: `)
      settings.set(key, text)
    }
    const type = settings.get('type')
    const target = settings.get('target')
    if (type === undefined) return problem('has a mapping without "type"', HOW_SINK)
    if (target?.includes('?') || /[:?]/.test(type)) return problem('has a "?" or ":" in the wrong place', HOW_SINK)
    settings.delete('type')
    settings.delete('target')
    const query = [...settings].map(([key, value]) => `${key}=${value.replace(/[%&]/g, encodeURIComponent)}`)
    return `${type}${target === undefined ? '' : `:${target}`}${query.length === 0 ? '' : `?${query.join('&')}`}`
  }
}

/** YAML's null is the sink of that name where it is written, and nothing where it is only what an empty value is read as. */
function textOrNull(option: Option, node: Node | undefined): string | undefined {
  const isWritten = yaml().isScalar(node) && node.value === null && Boolean(node.source)
  return option.name() === 'out' && isWritten ? 'null' : textOf(node)
}

const HOW_SINK = 'Write e.g. out: [{type: pcap, target: a.pcap, rotate: 1h}], or out: pcap:a.pcap?rotate=1h.'

function noValue(option: Option): string {
  return problem('has no value that it could have', `Write ${option.name()}: ${option.flags.split(' ').at(-1)}.`)
}
