import { closeSync, ftruncateSync, openSync, renameSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const CHUNK = Buffer.alloc(1 << 20, 0x5a)
/** The file may grow by so much between two looks. */
const AHEAD_BYTES = 96 << 20
const LOOK_MS = 10

/**
 * Memory for the files of runs, of which the last part was in use a moment ago.
 *
 * A virtual machine's kernel may give memory that is free for a while back to its host (free page reporting), and then the first
 * write to a page waits for the host: up to 10 us, as much as all that is measured for the frames on it. So memory is held by files of
 * our own, which shrink as the file that is measured grows.
 */
export class WarmPages {
  readonly #folder: string
  /** Descriptors and sizes; the last one shrinks first. */
  readonly #held: { readonly fd: number; bytes: number }[] = []
  #names = 0

  /** `folder`: in memory. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** Holds so many bytes at least. */
  hold(bytes: number): void {
    const missing = bytes - this.#held.reduce((sum, part) => sum + part.bytes, 0)
    if (missing <= 0) return
    const fd = openSync(this.#newName(), 'w')
    let held = 0
    for (; held < missing; held += CHUNK.length) writeSync(fd, CHUNK)
    this.#held.push({ fd, bytes: held })
  }

  /** Keeps the memory of a file that is over. */
  take(file: string): void {
    const name = this.#newName()
    renameSync(file, name)
    this.#held.push({ fd: openSync(name, 'r+'), bytes: statSync(name).size })
  }

  /** Gives back as much as the file of this size takes, until `during` is over. */
  async feed<T>(size: () => number, during: Promise<T>): Promise<T> {
    let given = size() - AHEAD_BYTES
    const look = () => {
      const due = size() - given
      this.#giveBack(due)
      given += due
    }
    look()
    const timer = setInterval(look, LOOK_MS)
    return await during.finally(() => clearInterval(timer))
  }

  #giveBack(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const last = this.#held.at(-1)
      if (last === undefined) return
      const here = Math.min(left, last.bytes)
      last.bytes -= here
      left -= here
      ftruncateSync(last.fd, last.bytes)
      if (last.bytes > 0) continue
      closeSync(last.fd)
      this.#held.pop()
    }
  }

  #newName(): string {
    return join(this.#folder, `held-${this.#names++}`)
  }
}
