import type { CaptureFile } from './capture-file.ts'

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
    for (const oldest of this.#files) {
      if (this.#files.size < this.#limit) return
      oldest.park()
      this.#files.delete(oldest)
    }
  }

  /** Makes `file` the most recently used one, or forgets it if it is not open any more. */
  note(file: CaptureFile): void {
    this.#files.delete(file)
    if (file.isOpenFile) this.#files.add(file)
  }
}
