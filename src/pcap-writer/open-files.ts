import type { CaptureFile } from './capture-file.ts'
import { errorCode } from './errors.ts'

const NO_DESCRIPTOR: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE'])

/** Bounds the number of open descriptors: the files that were not used for longest are parked. */
export class OpenFiles {
  /** The least recently used first. */
  readonly #files = new Set<CaptureFile>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#files.size
  }

  /** Parks others until `file` can be opened, if it is not open. */
  makeRoomFor(file: CaptureFile): void {
    if (file.isOpenFile) return
    while (this.#files.size >= this.#limit && this.#parkOldest());
  }

  /** What `open` gives; where the process or the system has no descriptor left, other files are parked for it. */
  opened<T>(open: () => T): T {
    for (;;) {
      try {
        return open()
      } catch (error) {
        if (!NO_DESCRIPTOR.has(errorCode(error)) || !this.#parkOldest()) throw error
      }
    }
  }

  /** Makes `file` the most recently used one, or forgets it if it is not open any more. */
  note(file: CaptureFile): void {
    this.#files.delete(file)
    if (file.isOpenFile) this.#files.add(file)
  }

  /** False when none is open. */
  #parkOldest(): boolean {
    const [oldest] = this.#files
    if (oldest === undefined) return false
    oldest.park()
    return this.#files.delete(oldest)
  }
}
