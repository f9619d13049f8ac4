import { realpathSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import type { PathTemplate } from './path-template.ts'

/** No part of these begins with a zero: they match as the numbers of taken names, too. */
const SAMPLE_SECOND = new Date(2026, 10, 28, 14, 45, 50).getTime() / 1000
const SAMPLE_SERIES = { encapsulation: 'vxlan', tunnelId: 1234 }

/** All names that files of one template may get, through whatever links their folder is reached. */
export class NamePattern {
  readonly #template: PathTemplate
  readonly #removes: boolean

  /** `removes`: files of such names are removed in time, as `keep` asks. */
  constructor(template: PathTemplate, removes: boolean) {
    this.#template = template
    this.#removes = removes
  }

  /** Whether a file of this path could be one of them. */
  matches(path: string): boolean {
    const parts = relative(withoutLinks(this.#template.folder), placeOf(path)).split('/')
    const matchers = this.#template.matchers()
    return parts.length === matchers.length && matchers.every((matcher, i) => matcher.match(parts[i]!) !== undefined)
  }

  /** Whether both give the same names, or one of them could remove what the other makes. */
  clashesWith(other: NamePattern): boolean {
    if (this.#wholeText === other.#wholeText) return true
    return (this.#removes || other.#removes) && (this.matches(other.#sample) || other.matches(this.#sample))
  }

  get #wholeText(): string {
    const { folder, text } = this.#template
    return join(withoutLinks(folder), relative(folder, text))
  }

  get #sample(): string {
    return this.#template.expand(SAMPLE_SECOND, SAMPLE_SERIES, 0)
  }
}

/** Where a file of this path lies, be it there or not: its folder without links. */
export function placeOf(path: string): string {
  return join(withoutLinks(dirname(path)), basename(path))
}

/** As far as it exists. */
function withoutLinks(folder: string): string {
  try {
    return realpathSync(folder)
  } catch {
    const whole = resolve(folder)
    const above = dirname(whole)
    return above === whole ? whole : join(withoutLinks(above), basename(whole))
  }
}
