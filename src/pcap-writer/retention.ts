import { statSync, unlinkSync } from 'node:fs'
import { errorCode } from './errors.ts'
import type { ExistingFile } from './file-names.ts'

/** How much is kept; both limits may be set. */
export interface Keep {
  /** Files, the open one included; per series when the path has series fields. */
  readonly files?: number
  /** Bytes on disk of all series together, open files included as far as they are written. */
  readonly bytes?: number
}

/** A file that is being written; it counts, and is never removed. */
export interface FileInUse {
  readonly path: string
  readonly seriesKey: string
}

interface FinishedFile extends FileInUse {
  readonly bytes: number
}

/** What retention tells its owner. */
export interface RetentionEvents {
  removed(path: string): void
  cannotRemove(error: unknown, path: string): void
}

/** Returns `keep` if it can be kept to. */
export function checkedKeep(keep: Keep): Keep {
  for (const [limit, value] of Object.entries(keep)) {
    if (value === undefined || (Number.isSafeInteger(value) && value > 0)) continue
    throw new RangeError(`Keeping ${value} ${limit} is not possible.\nGive a whole number above 0.`)
  }
  return keep
}

/** Removes the oldest finished files when there are too many, or too many bytes. Files of earlier runs count. */
export class Retention {
  readonly #keep: Keep
  readonly #events: RetentionEvents
  /** Oldest first. */
  readonly #finished: FinishedFile[]
  #failing = false

  /** `existing`: files that are there already, oldest first. */
  constructor(keep: Keep, existing: readonly ExistingFile[], events: RetentionEvents) {
    this.#keep = keep
    this.#events = events
    this.#finished = [...existing]
  }

  /** A file of this run was finished. */
  add(file: FileInUse): void {
    this.#finished.push({ ...file, bytes: sizeOf(file.path) })
  }

  /** Removes what is too much beside the files in use. */
  enforce(inUse: readonly FileInUse[]): void {
    const { files, bytes } = this.#keep
    if (files !== undefined) this.#removeByCount(files, inUse)
    if (bytes !== undefined) this.#removeBySize(bytes, inUse)
  }

  #removeByCount(limit: number, inUse: readonly FileInUse[]): void {
    const counts = new Map<string, number>()
    for (const { seriesKey } of [...this.#finished, ...inUse]) counts.set(seriesKey, (counts.get(seriesKey) ?? 0) + 1)
    this.#removeWhile((file) => {
      const count = counts.get(file.seriesKey)!
      counts.set(file.seriesKey, count - 1)
      return count > limit
    })
  }

  #removeBySize(limit: number, inUse: readonly FileInUse[]): void {
    let total = 0
    for (const { path } of inUse) total += sizeOf(path)
    for (const { bytes } of this.#finished) total += bytes
    this.#removeWhile((file) => {
      const excess = total > limit
      total -= file.bytes
      return excess
    })
  }

  /** Asks about every file, oldest first. */
  #removeWhile(isTooMuch: (file: FinishedFile) => boolean): void {
    const kept = this.#finished.filter((file) => !isTooMuch(file) || !this.#remove(file.path))
    this.#finished.splice(0, this.#finished.length, ...kept)
  }

  #remove(path: string): boolean {
    try {
      unlinkSync(path)
      this.#events.removed(path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        if (!this.#failing) this.#events.cannotRemove(error, path)
        this.#failing = true
        return false
      }
    }
    this.#failing = false
    return true
  }
}

/** 0 for a file that is gone. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
