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
  readonly #finished = new Set<FinishedFile>()
  readonly #ofSeries = new Map<string, Set<FinishedFile>>()
  #finishedBytes = 0
  /** By path: what files in use had when they were last looked at. */
  readonly #inUse = new Map<string, number>()
  #failing = false

  /** `existing`: files that are there already, oldest first. */
  constructor(keep: Keep, existing: readonly ExistingFile[], events: RetentionEvents) {
    this.#keep = keep
    this.#events = events
    for (const file of existing) this.#add(file)
  }

  /** A file was begun, and is empty yet: what is too much beside it goes before it grows. */
  began({ path, seriesKey }: FileInUse): void {
    this.#inUse.set(path, 0)
    this.#removeByCount(this.#ofSeries.get(seriesKey), 1)
    this.#removeBySize()
  }

  /** A file of this run was finished. */
  finished({ path, seriesKey }: FileInUse): void {
    this.#inUse.delete(path)
    this.#add({ path, seriesKey, bytes: sizeOf(path) })
  }

  /** Removes what is too much beside the files in use, at most one of each series, by what they have now. */
  enforce(inUse: readonly FileInUse[]): void {
    const series = new Set(inUse.map(({ seriesKey }) => seriesKey))
    for (const [key, files] of this.#ofSeries) this.#removeByCount(files, series.has(key) ? 1 : 0)
    this.#inUse.clear()
    if (this.#keep.bytes === undefined) return
    for (const { path } of inUse) this.#inUse.set(path, sizeOf(path))
    this.#removeBySize()
  }

  #add(file: FinishedFile): void {
    this.#finished.add(file)
    this.#finishedBytes += file.bytes
    const series = this.#ofSeries.get(file.seriesKey)
    if (series === undefined) this.#ofSeries.set(file.seriesKey, new Set([file]))
    else series.add(file)
  }

  #removeByCount(files: ReadonlySet<FinishedFile> | undefined, inUse: number): void {
    const limit = this.#keep.files
    if (limit === undefined || files === undefined) return
    let excess = files.size + inUse - limit
    for (const file of files) {
      if (excess-- <= 0) break
      this.#remove(file)
    }
  }

  #removeBySize(): void {
    const limit = this.#keep.bytes
    if (limit === undefined) return
    let excess = this.#finishedBytes - limit
    for (const bytes of this.#inUse.values()) excess += bytes
    for (const file of this.#finished) {
      if (excess <= 0) break
      excess -= file.bytes
      this.#remove(file)
    }
  }

  /** One that cannot be removed is tried again the next time. */
  #remove(file: FinishedFile): void {
    try {
      unlinkSync(file.path)
      this.#events.removed(file.path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        if (!this.#failing) this.#events.cannotRemove(error, file.path)
        this.#failing = true
        return
      }
    }
    this.#failing = false
    this.#finished.delete(file)
    this.#ofSeries.get(file.seriesKey)!.delete(file)
    this.#finishedBytes -= file.bytes
  }
}

/** 0 for a file that is gone. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
