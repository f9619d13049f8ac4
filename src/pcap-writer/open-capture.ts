import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { isatty } from 'node:tty'
import type { ByteFeed } from './byte-feed.ts'
import { GzipFeed, isGzip } from './byte-feed-gzip.ts'
import { StreamFeed } from './byte-feed-stream.ts'
import { readingFailed } from './errors.ts'

/** A capture could not be opened; `code` is the system's, such as ENOENT, EACCES or EISDIR. */
export class CaptureOpenError extends Error {
  override readonly name = 'CaptureOpenError'
  readonly code: string
  readonly path: string

  constructor(code: string, path: string) {
    const [why, mend] = REASONS.get(code) ?? [code, 'Check that it is a file, or - for standard input.']
    super(`cannot read ${path}: ${why}\n${mend}`)
    this.code = code
    this.path = path
  }
}

/** What happened, and how to mend it. */
const REASONS: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['ENOENT', ['there is no such file', 'Check the path.']],
  [
    'EACCES',
    ['permission denied', 'Its permissions keep this user from reading it: use another user, or chmod the file.'],
  ],
  ['EISDIR', ['it is a directory', 'Name one file in it.']],
])

const STANDARD_INPUT = 0

/**
 * Opens a capture file, a FIFO, or standard input (`-`) for reading; gzip is recognized by its magic and taken off.
 * Throws a CaptureOpenError.
 */
export function openCapture(path: string): ByteFeed {
  try {
    // A FIFO without a writer would block the thread in open(2); reading it is done by polling.
    const fd = path === '-' ? STANDARD_INPUT : openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    return new CaptureFeed(feedOf(fd, path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof CaptureOpenError || code === undefined) throw error
    throw new CaptureOpenError(code, path)
  }
}

function feedOf(fd: number, path: string): ByteFeed {
  const stat = fstatSync(fd)
  if (stat.isDirectory()) {
    if (fd !== STANDARD_INPUT) closeSync(fd)
    throw new CaptureOpenError('EISDIR', path)
  }
  if (stat.isFIFO() || stat.isSocket() || isatty(fd)) return new StreamFeed(fd)
  // Where a shell's file was opened, and what was read of it before, nobody knows.
  return stat.isFile() && fd !== STANDARD_INPUT ? new RepeatableFeed(fd) : new FileFeed(fd)
}

/** Regular files and devices: read at once, never waited for. */
class FileFeed implements ByteFeed {
  readonly fd: number
  #isOpen = true
  #problem: string | undefined
  /** Bytes read so far. */
  bytesRead = 0

  constructor(fd: number) {
    this.fd = fd
  }

  get problem(): string | undefined {
    return this.#problem
  }

  read(into: Uint8Array): number {
    if (!this.#isOpen || this.#problem !== undefined) return 0
    try {
      const length = this.readNext(into)
      this.bytesRead += length
      return length
    } catch (error) {
      this.#problem = readingFailed(error)
      return 0
    }
  }

  close(): void {
    if (this.#isOpen && this.fd !== STANDARD_INPUT) closeSync(this.fd)
    this.#isOpen = false
  }

  protected readNext(into: Uint8Array): number {
    return readSync(this.fd, into, 0, into.length, null)
  }
}

/** A regular file that was opened here. */
class RepeatableFeed extends FileFeed {
  again(): ByteFeed {
    return new RepeatableFeed(this.fd)
  }

  protected override readNext(into: Uint8Array): number {
    return readSync(this.fd, into, 0, into.length, this.bytesRead)
  }
}

/** Looks at the first bytes and puts a decompressor in front of the rest where they are gzip's. */
class CaptureFeed implements ByteFeed {
  readonly #raw: ByteFeed
  #feed: ByteFeed | undefined

  constructor(raw: ByteFeed) {
    this.#raw = raw
  }

  get problem(): string | undefined {
    return this.#feed?.problem
  }

  get bytesRead(): number | undefined {
    return this.#raw.bytesRead
  }

  read(into: Uint8Array): number | Promise<number> {
    return this.#feed === undefined ? this.#readFirst(into, 0) : this.#feed.read(into)
  }

  close(): void {
    this.#feed?.close()
    this.#raw.close()
  }

  #readFirst(into: Uint8Array, have: number): number | Promise<number> {
    const length = this.#raw.read(into.subarray(have))
    return typeof length === 'number'
      ? this.#recognize(into, have, length)
      : length.then((count) => this.#recognize(into, have, count))
  }

  #recognize(into: Uint8Array, have: number, length: number): number | Promise<number> {
    const total = have + length
    if (total < 2 && length > 0) return this.#readFirst(into, total)
    if (!isGzip(into, total)) {
      this.#feed = this.#raw
      return total
    }
    // Not by slice(): a Buffer's copies nothing.
    this.#feed = new GzipFeed(this.#raw, new Uint8Array(into.subarray(0, total)))
    return this.#feed.read(into)
  }
}
