import { closeSync, linkSync, lstatSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs'
import { EXIT_CANNOT_CREATE, EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { errorCode } from '../pcap-writer/errors.ts'
import { placeOf } from '../pcap-writer/name-pattern.ts'
import type { NamesOfSink } from './sink-wishes.ts'

const ANOTHER_NAME = 'Give --report another name.'
/** Of file systems that know one name for each file. */
const NO_LINKS = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK']

/** What a report must not replace. */
export interface Taken {
  /** Paths, whatever is there now. */
  readonly files: readonly string[]
  readonly names: readonly NamesOfSink[]
}

/** Throws Failure where a report at `path` would replace something of this run. */
export function refuseTaken(path: string, { files, names }: Taken): void {
  if (path === '-') return
  if (files.some((file) => placeOf(file) === placeOf(path) || areOneFile(file, path))) {
    throw new Failure(EXIT_USAGE, `The report would replace ${path}.`, ANOTHER_NAME)
  }
  const owner = names.find((each) => each.names.matches(path))
  if (owner === undefined) return
  throw new Failure(EXIT_USAGE, `The report would replace ${path}, which ${owner.option} may write.`, ANOTHER_NAME)
}

/** The place of a report that is a regular file: empty, or an older report lies there. */
export class ReportPlace {
  readonly #path: string
  /** What lay there at the start. */
  readonly #before: string | undefined

  /** Throws Failure where something else lies there. */
  constructor(path: string) {
    this.#path = path
    this.#before = fingerprint(path)
    if (mayBeReport(path)) return
    const mend = 'Remove it, or give --report another name.'
    throw new Failure(EXIT_CANNOT_CREATE, `The report would replace ${path}, which is no report.`, mend)
  }

  /** Moves a file there. Throws Failure, and leaves it where it is, if what lies there is not what lay there at the start. */
  take(file: string): void {
    if (fingerprint(this.#path) !== this.#before) throw this.#changed(file)
    if (this.#before === undefined && this.#link(file)) rmSync(file)
    else renameSync(file, this.#path)
  }

  /** Unlike a rename, this replaces nothing. False where it cannot be done. */
  #link(file: string): boolean {
    try {
      linkSync(file, this.#path)
      return true
    } catch (error) {
      if (errorCode(error) === 'EEXIST') throw this.#changed(file)
      if (NO_LINKS.includes(errorCode(error))) return false
      throw error
    }
  }

  #changed(file: string): Failure {
    const what = `The report would replace ${this.#path}, which was written meanwhile.`
    return new Failure(EXIT_CANNOT_CREATE, what, `The report is in ${file}. ${ANOTHER_NAME}`)
  }
}

/** Tells a file from another of its name, and from itself before it was written to. */
function fingerprint(path: string): string | undefined {
  const status = lstatSync(path, { throwIfNoEntry: false })
  return status && [status.dev, status.ino, status.size, status.mtimeMs].join(':')
}

/** An older report is one JSON object. */
function mayBeReport(path: string): boolean {
  const first = Buffer.alloc(1)
  try {
    const fd = openSync(path, 'r')
    try {
      return readSync(fd, first) === 0 || first.toString() === '{'
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    return errorCode(error) === 'ENOENT'
  }
}

function areOneFile(one: string, other: string): boolean {
  try {
    const [a, b] = [statSync(one), statSync(other)]
    return a.isFile() && a.dev === b.dev && a.ino === b.ino
  } catch {
    return false
  }
}
