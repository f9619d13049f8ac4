import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const CHUNK_BYTES = 64 << 10

/** A file system of a few mebibytes in memory, for tests that need root. */
export class SmallDisk {
  readonly path: string
  #isMounted = true

  /** Made at `path`, which must not be there yet. */
  constructor(path: string, mebibytes: number) {
    this.path = path
    mkdirSync(path)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'none', path])
    process.on('exit', this.#unmount)
  }

  /** Takes all the room that is left. */
  fill(): void {
    const file = openSync(this.#ballast, 'a')
    const chunk = Buffer.alloc(CHUNK_BYTES)
    try {
      while (writeSync(file, chunk) === chunk.length);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      closeSync(file)
    }
  }

  /** Gives back what fill() took. */
  free(): void {
    rmSync(this.#ballast, { force: true })
  }

  /** May be called again. */
  dispose(): void {
    process.removeListener('exit', this.#unmount)
    this.#unmount()
  }

  get #ballast(): string {
    return join(this.path, '.ballast')
  }

  readonly #unmount = (): void => {
    if (this.#isMounted) execFileSync('umount', ['--lazy', this.path])
    this.#isMounted = false
  }
}
