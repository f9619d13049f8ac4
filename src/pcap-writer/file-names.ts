import { lstatSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Destination, type FileCalls, type KeepWaiting, RegularFile, Stream } from './destination.ts'
import { errorCode } from './errors.ts'
import { makeFolder } from './make-folder.ts'
import type { PathMatcher, PathTemplate, Series } from './path-template.ts'

/** A regular file that a template could have made, in this run or in an earlier one. */
export interface ExistingFile {
  readonly path: string
  readonly seriesKey: string
  readonly number: number
  readonly bytes: number
  readonly modifiedMilliseconds: number
  /** Device and inode. */
  readonly identity: string
}

/** Gives every new file a name that is free. */
export class FileNames {
  readonly #template: PathTemplate
  readonly #calls: FileCalls
  readonly #keepWaiting: KeepWaiting
  readonly #isRotating: boolean
  /** Per series: the name before numbering and the number of its last file. */
  readonly #last = new Map<string, { base: string | undefined; number: number }>()

  /** `isRotating`: numbers are a sequence, and a name that was freed is not used again. */
  constructor(template: PathTemplate, isRotating: boolean, calls: FileCalls, keepWaiting: KeepWaiting) {
    this.#template = template
    this.#isRotating = isRotating
    this.#calls = calls
    this.#keepWaiting = keepWaiting
  }

  /** Lets numbers of an earlier run go on where the name says nothing else about the time. */
  continueNumbering(existing: readonly ExistingFile[]): void {
    if (!this.#isRotating || this.#template.hasTimeFields) return
    for (const { seriesKey, number } of existing) {
      const last = this.#last.get(seriesKey)
      if (last === undefined || number > last.number) this.#last.set(seriesKey, { base: undefined, number })
    }
  }

  /** Creates the next file of a series, or opens the FIFO or character device that the user named. Throws system errors. */
  create(second: number, series: Series): { path: string; destination: Destination } {
    const key = this.#template.seriesKey(series)
    const base = this.#template.expand(second, series, 0)
    const last = this.#last.get(key)
    let number = this.#isRotating && last !== undefined && (last.base ?? base) === base ? last.number + 1 : 0
    for (;;) {
      const path = this.#template.expand(second, series, number)
      const destination = this.#createAt(path, number)
      if (destination?.isFile) this.#last.set(key, { base, number })
      if (destination !== undefined) return { path, destination }
      number++
    }
  }

  /** The same, but fails with EEXIST where a number would have been needed. */
  createUnnumbered(second: number, series: Series): { path: string; destination: Destination } {
    const path = this.#template.expand(second, series, 0)
    const destination = this.#createAt(path, 0)
    if (destination === undefined) throw Object.assign(new Error('the file exists'), { code: 'EEXIST', path })
    if (destination.isFile) this.#last.set(this.#template.seriesKey(series), { base: path, number: 0 })
    return { path, destination }
  }

  /** Undefined if the name is taken. */
  #createAt(path: string, number: number): Destination | undefined {
    try {
      return RegularFile.create(path, this.#calls)
    } catch (error) {
      if (errorCode(error) === 'ENOENT' && dirname(path) !== this.#template.folder) {
        makeFolder(dirname(path))
        return RegularFile.create(path, this.#calls)
      }
      if (errorCode(error) !== 'EEXIST') throw error
    }
    // Who can guess a name that we make up could plant a FIFO or a link there: only the user's own words are followed.
    const isUsersName = number === 0 && !this.#template.hasTimeFields && !this.#template.hasSeriesFields
    if (!isUsersName) return undefined
    const kind = statSync(path, { throwIfNoEntry: false })
    const isStream = kind?.isFIFO() || kind?.isCharacterDevice()
    return isStream ? Stream.open(path, this.#calls, this.#keepWaiting) : undefined
  }
}

/** The template's files that are there already, oldest first. A folder that cannot be read has none. */
export function existingFiles(template: PathTemplate): ExistingFile[] {
  const found: ExistingFile[] = []
  collect(template.folder, template.matchers(), '', found)
  return found.sort((a, b) => a.modifiedMilliseconds - b.modifiedMilliseconds || a.number - b.number)
}

/** Those that are not the file at `path`, whatever names and links it has. */
export function without(path: string | undefined, files: readonly ExistingFile[]): readonly ExistingFile[] {
  try {
    if (path === undefined) return files
    const { dev, ino } = statSync(path)
    return files.filter(({ identity }) => identity !== `${dev}:${ino}`)
  } catch {
    // Nobody can read it, then.
    return files
  }
}

function collect(folder: string, matchers: readonly PathMatcher[], key: string, found: ExistingFile[]): void {
  const [matcher, ...deeper] = matchers
  for (const name of namesIn(folder)) {
    const match = matcher?.match(name)
    if (match === undefined) continue
    const path = join(folder, name)
    const seriesKey = key + match.seriesKey
    const kind = lstatSync(path, { throwIfNoEntry: false })
    if (deeper.length > 0) {
      if (kind?.isDirectory()) collect(path, deeper, seriesKey, found)
    } else if (kind?.isFile()) {
      const { size: bytes, mtimeMs: modifiedMilliseconds, dev, ino } = kind
      found.push({ path, seriesKey, number: match.number, bytes, modifiedMilliseconds, identity: `${dev}:${ino}` })
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
