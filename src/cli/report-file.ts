import { accessSync, chownSync, closeSync, constants, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { EXIT_CANNOT_CREATE, Failure } from '../config/terms/failure.ts'
import { cannotCreate } from '../pcap-writer/create-errors.ts'
import { errorCode } from '../pcap-writer/errors.ts'
import { ReportPlace, refuseTaken, type Taken } from './report-place.ts'

const STANDARD_OUTPUT = 1
const FOR_A_READER = constants.O_WRONLY | constants.O_NONBLOCK
/** What somebody has removed meanwhile is made again. */
const AS_MADE = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW

/**
 * Where `--report` goes. A file appears whole or not at all: it is written beside its place, which is tried at the start,
 * and moved there at the end. Throws Failure.
 */
export class ReportFile {
  readonly #path: string
  readonly #temporary: string | undefined
  readonly #place: ReportPlace | undefined

  constructor(path: string, taken: Taken) {
    this.#path = path
    refuseTaken(path, taken)
    if (path === '-') return
    const kind = this.#attempt(() => statSync(path, { throwIfNoEntry: false }))
    if (path.endsWith('/') || kind?.isDirectory()) {
      const mend = `Name a file in it: --report ${join(path, 'report.json')}.`
      throw new Failure(EXIT_CANNOT_CREATE, `Cannot create the report ${path}: it is a folder.`, mend)
    }
    // A FIFO or a device is written to as it is.
    if (kind !== undefined && !kind.isFile()) return
    this.#place = new ReportPlace(path)
    this.#temporary = this.#attempt(() => madeBeside(path))
  }

  /** Where it is moved to its place; undefined where it is written as it is. */
  get folder(): string | undefined {
    return this.#temporary === undefined ? undefined : dirname(this.#path)
  }

  write(text: string): void {
    const temporary = this.#temporary
    this.#attempt(() => {
      if (this.#path === '-') return writeWhole(STANDARD_OUTPUT, text)
      // Without a reader, opening a FIFO to write would wait for one for ever.
      const fd = openSync(temporary ?? this.#path, temporary === undefined ? FOR_A_READER : AS_MADE, 0o644)
      try {
        writeWhole(fd, text)
      } finally {
        closeSync(fd)
      }
      if (temporary !== undefined) this.#place?.take(temporary)
    })
  }

  /** Whoever writes it in the end. */
  handTo(uid: number, gid: number): void {
    if (this.#temporary !== undefined) this.#attempt(() => chownSync(this.#temporary!, uid, gid))
  }

  /** Fails now where whoever this process is by now could not put it in its place. */
  requirePlace(): void {
    if (this.#temporary !== undefined)
      this.#attempt(() => accessSync(dirname(this.#path), constants.W_OK | constants.X_OK))
  }

  /** Nothing was collected: leaves no trace. */
  discard(): void {
    if (this.#temporary !== undefined) rmSync(this.#temporary, { force: true })
  }

  /** In a folder that is not ours any more it stays. */
  #tryToDiscard(): void {
    try {
      this.discard()
    } catch {}
  }

  #attempt<Result>(action: () => Result): Result {
    try {
      return action()
    } catch (error) {
      if (error instanceof Failure) throw error
      this.#tryToDiscard()
      const { message } = cannotCreate(`the report ${this.#path}`, error, dirname(this.#path))
      const [what = '', mend = ''] = message.split('\n')
      throw new Failure(EXIT_CANNOT_CREATE, what, mend)
    }
  }
}

/** Makes an empty file; what an earlier run left, which in a container had the same process id, may be a report, and stays. */
function madeBeside(path: string): string {
  for (let number = 0; ; number++) {
    const name = `${path}.${process.pid}${number === 0 ? '' : `-${number}`}.tmp`
    try {
      closeSync(openSync(name, 'wx', 0o644))
      return name
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error
    }
  }
}

function writeWhole(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written)
}
