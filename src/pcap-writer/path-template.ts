import { basename, dirname, normalize } from 'node:path'
import { PathTemplateError } from './errors.ts'
import { TIME_FIELDS } from './time-fields.ts'

/** The frames that share a file when the path has series fields: one tunnel of one encapsulation. */
export interface Series {
  /** Name in the registry of encapsulations: letters, digits, hyphens. */
  readonly encapsulation: string
  /** VNI, VSID, key or session: 0 to 2^32 - 1; undefined for all tunnels that have no series of their own, `other` in names. */
  readonly tunnelId: number | undefined
  /** LINKTYPE_ value of its frames, where it is not the format's own. Not part of names. */
  readonly linkType?: number | undefined
}

const NO_SERIES: Series = { encapsulation: 'none', tunnelId: undefined }

interface SeriesField {
  readonly pattern: string
  /** The field's text; made of digits, letters and hyphens only, so that nobody steers it out of the folder. */
  text(series: Series): string
}

const SERIES_FIELDS: Readonly<Record<string, SeriesField>> = {
  vni: { pattern: '\\d{1,10}|other', text: (series) => checkedTunnelId(series.tunnelId) },
  // Not greedy: in {encap}-{vni} with a number appended, the name is what ends first.
  encap: { pattern: '[A-Za-z][A-Za-z0-9-]*?', text: (series) => checkedEncapsulation(series.encapsulation) },
}

/** Literal text, or the name of a field. */
interface Token {
  readonly kind: 'literal' | 'time' | 'series'
  readonly text: string
}

/** A number that a taken name got. Longer ones are somebody else's: above 2^53 the number after one is itself again. */
const NUMBER_PATTERN = '[1-9]\\d{0,8}'

/** What follows the number in a name that was taken: `.pcap`, `.pcap.gz`. */
const EXTENSIONS = /(\.[A-Za-z][A-Za-z0-9]{0,9})?(\.gz)?$/

/** A file's path with fields to fill in: strftime's as tcpdump users know them, `{vni}` and `{encap}`. */
export class PathTemplate {
  readonly text: string
  readonly hasSeriesFields: boolean
  readonly hasTimeFields: boolean
  /** The longest folder above all fields; it has to exist, those below are made as needed. */
  readonly folder: string
  readonly #tokens: readonly Token[]
  readonly #extensions: string

  /** Throws a {@link PathTemplateError} that names a field it does not know. */
  constructor(text: string) {
    if (text === '' || text.endsWith('/')) {
      throw new PathTemplateError(`Path "${text}" names no file.\nAdd a file name, for example ${text}mirror.pcap`)
    }
    this.text = normalize(text)
    this.#tokens = tokensOf(this.text)
    this.hasSeriesFields = this.#tokens.some((token) => token.kind === 'series')
    this.hasTimeFields = this.#tokens.some((token) => token.kind === 'time')
    const first = this.#tokens[0]
    const lead = first?.kind === 'literal' ? first.text : ''
    this.folder = this.#tokens.length === 1 ? dirname(lead) : dirname(`${lead}x`)
    const last = this.#tokens.at(-1)
    this.#extensions = last?.kind === 'literal' ? (EXTENSIONS.exec(basename(`x${last.text}`))?.[0] ?? '') : ''
  }

  /** The same path with `.gz` at its end, if it is not there already. */
  gzipped(): PathTemplate {
    return this.text.endsWith('.gz') ? this : new PathTemplate(`${this.text}.gz`)
  }

  /** The path at `second` (since 1970, shown in local time). `number` above 0 goes before the extensions: the name was taken. */
  expand(second: number, series: Series, number: number): string {
    const date = new Date(second * 1000)
    let path = ''
    for (const token of this.#tokens) {
      if (token.kind === 'literal') path += token.text
      else if (token.kind === 'time') path += TIME_FIELDS[token.text]!.text(date)
      else path += SERIES_FIELDS[token.text]!.text(series)
    }
    if (number === 0) return path
    return `${path.slice(0, path.length - this.#extensions.length)}-${number}${this.#extensions}`
  }

  /** The folders of a file at `second`, from the one that has to exist down, as far as no series is needed to tell. */
  foldersAt(second: number): string[] {
    if (this.hasSeriesFields) return [this.folder]
    const folders = [dirname(this.expand(second, NO_SERIES, 0))]
    while (folders[0] !== this.folder) folders.unshift(dirname(folders[0]!))
    return folders
  }

  /** Tells the series of one template apart: equal for two series whose files have the same names. */
  seriesKey(series: Series): string {
    let key = ''
    for (const token of this.#tokens) {
      if (token.kind === 'series') key += `/${SERIES_FIELDS[token.text]!.text(series)}`
    }
    return key
  }

  /** One matcher for every part of the path below `folder`. */
  matchers(): PathMatcher[] {
    let pattern = ''
    const last = this.#tokens.length - 1
    for (const [index, token] of this.#tokens.entries()) {
      if (token.kind === 'literal') {
        const stem = index === last ? token.text.slice(0, token.text.length - this.#extensions.length) : token.text
        pattern += escaped(stem)
      } else if (token.kind === 'time') pattern += TIME_FIELDS[token.text]!.pattern
      else pattern += `(${SERIES_FIELDS[token.text]!.pattern})`
    }
    pattern += `(?:-(?<number>${NUMBER_PATTERN}))?${escaped(this.#extensions)}`
    const lead = this.folder === '.' ? '' : `${this.folder.replace(/\/$/, '')}/`
    return pattern
      .slice(escaped(lead).length)
      .split('/')
      .map((part) => new PathMatcher(part))
  }
}

/** Recognizes one part of a path that a template could have made. */
export class PathMatcher {
  readonly #pattern: RegExp

  constructor(pattern: string) {
    this.#pattern = new RegExp(`^${pattern}$`)
  }

  /** What the part tells, undefined if the template does not make such names. */
  match(part: string): MatchedPart | undefined {
    const match = this.#pattern.exec(part)
    if (match === null) return undefined
    const number = match.groups?.number
    const fields = match.slice(1, match.groups === undefined ? undefined : -1)
    return { seriesKey: fields.map((field) => `/${field}`).join(''), number: number === undefined ? 0 : Number(number) }
  }
}

/** The series fields of one part of a path, and the number it got because the name was taken. */
export interface MatchedPart {
  readonly seriesKey: string
  readonly number: number
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  let literal = ''
  const field = (kind: 'time' | 'series', name: string): void => {
    if (literal !== '') tokens.push({ kind: 'literal', text: literal })
    literal = ''
    tokens.push({ kind, text: name })
  }
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '%') {
      const name = text[++at] ?? ''
      if (name === '%') literal += '%'
      else if (Object.hasOwn(TIME_FIELDS, name)) field('time', name)
      else throw unknownField(text, `%${name}`)
    } else if (character === '{') {
      const close = text.indexOf('}', at)
      const name = close < 0 ? text.slice(at + 1) : text.slice(at + 1, close)
      if (close < 0 || !Object.hasOwn(SERIES_FIELDS, name))
        throw unknownField(text, text.slice(at, at + name.length + 2))
      field('series', name)
      at = close
    } else literal += character
  }
  if (literal !== '') tokens.push({ kind: 'literal', text: literal })
  return tokens
}

function unknownField(text: string, field: string): PathTemplateError {
  const time = Object.keys(TIME_FIELDS).map((name) => `%${name}`)
  const series = Object.keys(SERIES_FIELDS).map((name) => `{${name}}`)
  return new PathTemplateError(
    `Path "${text}" has the unknown field ${field}.\nKnown are ${time.join(' ')} %% ${series.join(' ')}.`,
  )
}

/** Returns `series` if its fields can be part of a name. */
export function checkedSeries(series: Series): Series {
  checkedTunnelId(series.tunnelId)
  checkedEncapsulation(series.encapsulation)
  return series
}

function checkedTunnelId(tunnelId: number | undefined): string {
  if (tunnelId === undefined) return 'other'
  if (Number.isInteger(tunnelId) && tunnelId >= 0 && tunnelId <= 0xffff_ffff) return `${tunnelId}`
  throw new RangeError(`Tunnel identifier ${tunnelId} is not a whole number from 0 to 4294967295.`)
}

function checkedEncapsulation(name: string): string {
  if (/^[A-Za-z][A-Za-z0-9-]*$/.test(name)) return name
  throw new RangeError(`Encapsulation ${JSON.stringify(name)} has characters other than letters, digits and hyphens.`)
}

function escaped(literal: string): string {
  return literal.replace(/[.*+?^$()|[\]{}\\]/g, '\\$&')
}
