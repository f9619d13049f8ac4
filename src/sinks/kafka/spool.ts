import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT_CANNOT_CREATE, Failure } from '../../config/terms/failure.ts'
import { makeFolder } from '../../pcap-writer/make-folder.ts'
import type { ClosedBatch } from './open-batch.ts'
import { appendEntry, type EntryHeader, readBatch, readHeader } from './spool-entry.ts'

/** A finished file is removed as a whole. */
const FILE_BYTES = 32 << 20
const FILE_NAME = /^(\d{10})\.batches$/
const POSITION = 'position'
const LOCK = 'lock'
/** In the middle of what ten digits hold: files are added at both ends. */
const FIRST_SEQUENCE = 5_000_000_000

interface SpoolFile {
  readonly sequence: number
  readonly descriptor: number
  /** Whole entries end here. */
  size: number
  /** All before this place have come to an end. */
  passed: number
  /** Entries that have come to no end yet. */
  entries: number
}

type EntryState = 'waiting' | 'out' | 'done'

interface Entry extends EntryHeader {
  readonly file: SpoolFile
  readonly at: number
  readonly isEarlier: boolean
  state: EntryState
}

/**
 * Batches on disk, first in, first out, for the time in which the cluster takes none; they outlast the program. What was
 * put in is the kernel's when append() returns: a program that is killed loses none of it, a machine without power may.
 */
export class Spool {
  /** Frames of this run in batches that have come to no end yet. */
  frames = 0
  /** Those that earlier runs left here. */
  earlierFrames = 0
  readonly #folder: string
  readonly #limit: number
  readonly #files: SpoolFile[] = []
  /** In order, from the oldest that has come to no end on; the number of the first. */
  readonly #entries: Entry[] = []
  #firstNumber = 0
  /** Entries before this number are not waiting. */
  #cursor = 0
  #bytes = 0

  /** `limit`: bytes. @throws Failure when the folder cannot be used, or another program uses it */
  constructor(folder: string, limit: number) {
    this.#folder = folder
    this.#limit = limit
    try {
      makeFolder(folder)
      lock(join(folder, LOCK))
      this.#load()
    } catch (error) {
      if (error instanceof Failure) throw error
      const what = `spool=${folder}: ${error instanceof Error ? error.message : String(error)}`
      throw new Failure(EXIT_CANNOT_CREATE, what, 'Name a folder that this user may write to.')
    }
  }

  /** Whether every batch that was put in has come to an end. */
  get isEmpty(): boolean {
    return this.#entries.length === 0
  }

  /** Whether there are batches that read() has not given yet. */
  get hasMore(): boolean {
    return this.#cursor < this.#firstNumber + this.#entries.length
  }

  /** Puts a batch behind all others; false when there is no room for it. */
  append(batch: ClosedBatch): boolean {
    try {
      const last = this.#files.at(-1)
      const file = last === undefined || last.size > FILE_BYTES ? this.#newFile() : last
      const header = appendEntry(file.descriptor, file.size, batch, this.#limit - this.#bytes)
      if (header === undefined) return false
      this.#add({ ...header, file, at: file.size, isEarlier: batch.isEarlier, state: 'waiting' })
      return true
    } catch {
      // A full disk is a full spool: what was written of the entry lies behind the end of the whole ones.
      return false
    }
  }

  /** Puts batches in front of all others, whatever the limit; those that the disk does not take are given back. */
  prepend(batches: readonly ClosedBatch[]): readonly ClosedBatch[] {
    if (batches.length === 0) return batches
    const entries: Entry[] = []
    try {
      const file = this.#newFile(true)
      for (const batch of batches) {
        const header = appendEntry(file.descriptor, file.size, batch, Number.POSITIVE_INFINITY)!
        entries.push({ ...header, file, at: file.size, isEarlier: batch.isEarlier, state: 'waiting' })
        this.#include(entries.at(-1)!)
      }
    } catch {
      // As above; what is left stays with the caller.
    }
    this.#entries.unshift(...entries)
    this.#firstNumber -= entries.length
    this.#cursor = this.#firstNumber
    return batches.slice(entries.length)
  }

  /** The next batches, about `bytes` of them; they stay here until settle(). */
  read(bytes: number): ClosedBatch[] {
    const batches: ClosedBatch[] = []
    for (let sum = 0; sum < bytes && this.hasMore; this.#cursor++) {
      const entry = this.#entries[this.#cursor - this.#firstNumber]!
      if (entry.state !== 'waiting') continue
      const batch = readBatch(entry.file.descriptor, entry.at, entry)
      entry.state = 'out'
      sum += entry.bytes
      batches.push({ ...batch, isEarlier: entry.isEarlier, spoolNumber: this.#cursor })
    }
    return batches
  }

  /** The batch has come to an end: delivered, or refused for ever. */
  settle(number: number): void {
    const entry = this.#entries[number - this.#firstNumber]
    if (entry === undefined || entry.state === 'done') return
    entry.state = 'done'
    this.#count(entry, -1)
    let passed = 0
    while (this.#entries[passed]?.state === 'done') this.#leave(this.#entries[passed++]!)
    if (passed === 0) return
    this.#entries.splice(0, passed)
    this.#firstNumber += passed
    this.#cursor = Math.max(this.#cursor, this.#firstNumber)
    this.#writePosition()
  }

  /** The batch was taken back undelivered: it is read again. */
  putBack(number: number): void {
    const entry = this.#entries[number - this.#firstNumber]
    if (entry?.state !== 'out') return
    entry.state = 'waiting'
    this.#cursor = Math.min(this.#cursor, number)
  }

  close(): void {
    for (const file of this.#files) closeSync(file.descriptor)
    rmSync(join(this.#folder, LOCK), { force: true })
  }

  #add(entry: Entry): void {
    this.#entries.push(entry)
    this.#include(entry)
  }

  #include(entry: Entry): void {
    entry.file.size = entry.at + entry.bytes
    entry.file.entries++
    this.#bytes += entry.bytes
    this.#count(entry, 1)
  }

  #count(entry: Entry, sign: 1 | -1): void {
    if (entry.isEarlier) this.earlierFrames += sign * entry.frames
    else this.frames += sign * entry.frames
  }

  /** The oldest entry is done: its file goes with its last one, unless batches are still put into it. */
  #leave(entry: Entry): void {
    const { file } = entry
    file.entries--
    file.passed = entry.at + entry.bytes
    this.#bytes -= entry.bytes
    if (file.entries > 0 || (file === this.#files.at(-1) && this.#entries.at(-1) !== entry)) return
    closeSync(file.descriptor)
    rmSync(this.#path(file.sequence), { force: true })
    this.#files.splice(this.#files.indexOf(file), 1)
  }

  #newFile(isFirst = false): SpoolFile {
    const first = this.#files[0]?.sequence ?? FIRST_SEQUENCE + 1
    const sequence = isFirst ? first - 1 : (this.#files.at(-1)?.sequence ?? FIRST_SEQUENCE) + 1
    const file = { sequence, descriptor: openSync(this.#path(sequence), 'wx+', 0o600), size: 0, passed: 0, entries: 0 }
    if (isFirst) this.#files.unshift(file)
    else this.#files.push(file)
    return file
  }

  #writePosition(): void {
    const begun = this.#files.filter(({ passed }) => passed > 0)
    writeFileSync(join(this.#folder, POSITION), begun.map(({ sequence, passed }) => `${sequence} ${passed}\n`).join(''))
  }

  #path(sequence: number): string {
    return join(this.#folder, `${String(sequence).padStart(10, '0')}.batches`)
  }

  #load(): void {
    const positions = readPositions(join(this.#folder, POSITION))
    const names = readdirSync(this.#folder).filter((name) => FILE_NAME.test(name))
    for (const name of names.sort()) {
      const sequence = Number(FILE_NAME.exec(name)![1])
      const path = join(this.#folder, name)
      const length = statSync(path).size
      const file = {
        sequence,
        descriptor: openSync(path, 'r+'),
        size: 0,
        passed: positions.get(sequence) ?? 0,
        entries: 0,
      }
      this.#files.push(file)
      for (;;) {
        const header = readHeader(file.descriptor, file.size, length)
        if (header === undefined) break
        if (file.size < file.passed) file.size += header.bytes
        else this.#add({ ...header, file, at: file.size, isEarlier: true, state: 'waiting' })
      }
      if (file.entries > 0) continue
      closeSync(file.descriptor)
      rmSync(path)
      this.#files.pop()
    }
  }
}

/** By file: the place before which all entries have come to an end. */
function readPositions(path: string): Map<number, number> {
  try {
    const lines = readFileSync(path, 'utf8').split('\n')
    return new Map(lines.map((line) => line.split(' ').map(Number)).map(([sequence, at]) => [sequence!, at!]))
  } catch {
    // No entry has come to an end yet.
    return new Map()
  }
}

/** One program at a time: the file names its process. That of a program which was killed is taken over. */
function lock(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' })
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const owner = Number(readFileSync(path, 'utf8'))
  if (isRunning(owner)) {
    const what = `spool: ${path} belongs to process ${owner}.`
    throw new Failure(EXIT_CANNOT_CREATE, what, 'Give each Kafka sink a folder of its own.')
  }
  writeFileSync(path, `${process.pid}\n`)
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
