import { unlinkSync } from 'node:fs'
import type { Account, CaptureEvents } from './account.ts'
import { type Destination, type FileCalls, RegularFile, type WriteOutcome } from './destination.ts'
import { errorCode } from './errors.ts'
import { FileInterfaces, type SeriesDescription, type SeriesStatistics } from './file-interfaces.ts'
import { byteLength, gzipMember } from './gzip-member.ts'
import type { RecordFormat } from './record-format.ts'
import { type Boundaries, RecordRanges } from './record-ranges.ts'
import type { Interval } from './rotation.ts'

/** What all files of one set have in common. */
export interface FileContext {
  readonly format: RecordFormat
  readonly gzip: boolean
  readonly calls: FileCalls
  readonly account: Account
  readonly events: CaptureEvents
  /** What `open` gives, once there is a descriptor for it. */
  opened<T>(open: () => T): T
  describe(series: number): SeriesDescription
  readonly statistics: ((series: number) => SeriesStatistics) | undefined
}

/** Opens what a capture file goes to, and tells of it; called when its first bytes are due, and again if it was moved away. Throws system errors. */
export type Create = () => { path: string; destination: Destination }

const NO_BOUNDARY: Boundaries = { down: 0, up: 0 }

/**
 * One capture file: the records that wait for it, its interfaces, its descriptor. It is created at its first flush, may be parked
 * (descriptor closed, file unfinished) and goes on where it was. Whatever happens to the disk, it ends on a whole record.
 */
export class CaptureFile {
  readonly interval: Interval
  readonly pending: RecordRanges
  /** Empty until the file is created. */
  path = ''
  /** Frames the file has. */
  frames = 0
  readonly #context: FileContext
  readonly #create: Create
  #interfaces: FileInterfaces
  #destination: Destination | undefined
  /** Of a regular file, so that a parked one is found again. */
  #identity = ''
  #header: Uint8Array
  #headerWritten = false
  /** Records in the file, before compression. */
  #recordBytes = 0
  /** Frames of the record, or the compressed member, that a stream has begun. */
  #begunFrames = 0

  constructor(context: FileContext, interval: Interval, create: Create) {
    this.#context = context
    this.interval = interval
    this.#create = create
    this.pending = new RecordRanges(context.format)
    this.#interfaces = new FileInterfaces(context.format, context.describe)
    this.#header = context.format.fileHeader()
  }

  /** Whether a descriptor of a regular file is open. */
  get isOpenFile(): boolean {
    return this.#destination?.isFile ?? false
  }

  get isStream(): boolean {
    return this.#destination !== undefined && !this.#destination.isFile
  }

  get isCreated(): boolean {
    return this.path !== ''
  }

  /** Whether it has, and waits for, no record. */
  get isEmpty(): boolean {
    return this.frames + this.pending.frames + this.#begunFrames === 0
  }

  /** Bytes before compression once all that waits is written and the file is finished. */
  get size(): number {
    return this.#header.length + this.#interfaces.blockBytes + this.#recordBytes + this.pending.bytes
  }

  /** The size it had if `recordBytes` of a series were added. */
  sizeWith(recordBytes: number, series: number): number {
    return this.size + recordBytes + this.#interfaces.costOf(series)
  }

  /** Takes whole records of one series; the memory is borrowed until the next flush. */
  append(bytes: Uint8Array, view: DataView, start: number, end: number, frames: number, series: number): void {
    const owner = this.#interfaces.adopt(view, start, end, series)
    this.pending.add({ bytes, view, start, end, frames, owner })
  }

  /** Creates the file and writes its header. Throws if it cannot be created. */
  open(): void {
    this.#ensureDestination()
    this.flush()
  }

  /** Writes what waits. Never throws for what the disk or the reader does: frames are lost, counted, reported. */
  flush(): void {
    try {
      this.#ensureDestination()
      if (this.#settleBegun()) this.#write()
    } catch (error) {
      this.#lose(error)
      this.#forget()
    }
  }

  /** A descriptor to which somebody else may append whole records, until repaid(); undefined where there is none. */
  lend(): number | undefined {
    const { gzip, format } = this.#context
    const isSettled = this.#headerWritten && this.pending.frames === 0
    if (gzip || format.hasInterfaces || !isSettled || !(this.#destination instanceof RegularFile)) return undefined
    try {
      return this.#destination.lend()
    } catch {
      return undefined
    }
  }

  /** Somebody else has appended `frames` in `bytes` bytes; `isBroken`: and perhaps a part of more, which is taken away. */
  repaid(frames: number, bytes: number, isBroken: boolean): void {
    this.frames += frames
    this.#recordBytes += bytes
    this.#context.account.wrote(this, frames, bytes)
    if (!isBroken || !(this.#destination instanceof RegularFile)) return
    try {
      this.#destination.cutBack(bytes)
    } catch (error) {
      this.#lose(error)
      this.#forget()
    }
  }

  /** Leaves a file that somebody removed; the next flush creates another. What the file had stays counted as written. */
  leaveIfRemoved(): boolean {
    let trouble: unknown = new Error('the file was removed while it was written')
    try {
      if (!this.#destination?.isRemoved()) return false
    } catch (error) {
      trouble = error
    }
    this.#context.account.lost(this, 0, trouble, this.path)
    this.#forget()
    return true
  }

  /** Closes the descriptor only; what waits goes on waiting. */
  park(): void {
    if (this.isOpenFile) this.#close()
  }

  /** Writes what waits and the closing blocks. Returns the path if there is a finished regular file now. */
  finish(): string | undefined {
    this.leaveIfRemoved()
    if (this.pending.frames > 0 || this.#begunFrames > 0) this.flush()
    if (!this.isCreated) return undefined
    this.#writeTrailer()
    this.#giveUpBegun()
    this.#close()
    if (this.#headerWritten) this.#context.events.closed(this.path)
    else if (this.#identity !== '') this.#remove()
    return this.#headerWritten && this.#identity !== '' ? this.path : undefined
  }

  /** Removes a file that has no records. */
  discard(): void {
    if (this.leaveIfRemoved()) return
    this.#close()
    this.#remove()
    this.#context.events.removed(this.path)
  }

  #ensureDestination(): void {
    if (this.#destination !== undefined) return
    if (this.isCreated) {
      this.#destination = this.#reopen()
      if (this.#destination !== undefined) return
      this.#forget()
    }
    const { path, destination } = this.#context.opened(this.#create)
    this.path = path
    this.#destination = destination
    this.#identity = destination instanceof RegularFile ? destination.identity : ''
  }

  #reopen(): RegularFile | undefined {
    const { calls, opened } = this.#context
    return opened(() => RegularFile.reopen(this.path, this.#identity, calls))
  }

  /** True if the destination is ready for new records. */
  #settleBegun(): boolean {
    const state = this.#destination?.settle()
    if (state === 'whole') {
      this.frames += this.#begunFrames
      this.#context.account.wrote(this, this.#begunFrames, 0)
      this.#begunFrames = 0
      return true
    }
    if (state === 'lost') this.#readerLeft(0)
    else this.#lose(new Error('the reader is not reading'))
    return false
  }

  #write(): void {
    const head = this.#headerWritten ? [] : [this.#header]
    head.push(...this.#interfaces.missingBlocks())
    const headBytes = byteLength(head)
    const records = [...head, ...this.pending.buffers()]
    if (records.length === 0) return
    const parts = this.#context.gzip ? [gzipMember(records)] : records
    const total = byteLength(parts)
    const whole = headBytes + this.pending.bytes
    const boundaries = (written: number): Boundaries => {
      if (this.#context.gzip) return written < total ? { down: 0, up: total } : { down: total, up: total }
      if (written < headBytes) return { down: 0, up: headBytes }
      const { down, up } = this.pending.boundaries(written - headBytes)
      return { down: headBytes + down, up: headBytes + up }
    }
    const outcome = this.#destination!.write(parts, boundaries)
    this.#book(outcome, headBytes, this.#context.gzip && outcome.kept > 0 ? whole : outcome.kept, whole)
  }

  /** `kept` and `whole` are counted before compression. */
  #book(outcome: WriteOutcome, headBytes: number, kept: number, whole: number): void {
    const { account, gzip } = this.#context
    const begunEnd = outcome.begun === 0 ? kept : gzip ? whole : kept + outcome.begun
    if (begunEnd >= headBytes) {
      this.#headerWritten = true
      this.#interfaces.described = this.#interfaces.count
    }
    const pending = this.pending.frames
    const throughBegun = this.pending.settle(Math.max(begunEnd - headBytes, 0))
    // A begun record is counted once it is whole; begun is never more than one record or one member.
    this.#begunFrames = outcome.begun === 0 || begunEnd <= headBytes ? 0 : gzip ? throughBegun : 1
    const written = throughBegun - this.#begunFrames
    this.frames += written
    this.#recordBytes += Math.max(begunEnd - headBytes, 0)
    account.wrote(this, written, outcome.kept + outcome.begun)
    if (outcome.error === undefined) return
    if (errorCode(outcome.error) === 'EPIPE') this.#readerLeft(pending - throughBegun)
    else account.lost(this, pending - throughBegun, outcome.error, this.path)
  }

  #writeTrailer(): void {
    if (!this.#headerWritten || this.#begunFrames > 0) return
    const blocks = this.#interfaces.statisticsBlocks(this.#context.statistics).filter((block) => block.length > 0)
    if (blocks.length === 0) return
    try {
      this.#destination ??= this.#reopen()
      if (this.#destination === undefined) return
      const parts = this.#context.gzip ? [gzipMember(blocks)] : blocks
      const outcome = this.#destination.write(parts, () => NO_BOUNDARY)
      this.#context.account.wrote(this, 0, outcome.kept)
      if (outcome.error === undefined) return
      // Wireshark, which leaves at the end of its capture: no frame is missing.
      if (errorCode(outcome.error) === 'EPIPE' && this.#destination.isStandardOutput) this.#context.account.ended(0)
      else this.#context.account.lost(this, 0, outcome.error, this.path)
    } catch (error) {
      this.#context.account.lost(this, 0, error, this.path)
    }
  }

  /** All that waits is lost. */
  #lose(error: unknown): void {
    const frames = this.pending.frames
    this.pending.settle(0)
    this.#context.account.lost(this, frames, error, this.path === '' ? pathOf(error) : this.path)
  }

  #readerLeft(lostFrames: number): void {
    const frames = lostFrames + this.pending.frames + this.#begunFrames
    this.pending.settle(0)
    this.#begunFrames = 0
    if (this.#destination?.isStandardOutput) this.#context.account.ended(frames)
    else this.#context.account.lost(this, frames, new Error('its reader left'), this.path)
    this.#forget()
  }

  #giveUpBegun(): void {
    if (this.#begunFrames > 0)
      this.#context.account.lost(this, this.#begunFrames, new Error('its reader stopped reading'), this.path)
    this.#begunFrames = 0
  }

  /** The next flush starts a file from its beginning. */
  #forget(): void {
    this.#close()
    this.path = ''
    this.#identity = ''
    this.#headerWritten = false
    this.#interfaces.described = 0
    this.#recordBytes = 0
    this.frames = 0
  }

  #close(): void {
    try {
      this.#destination?.close()
    } catch (error) {
      this.#context.account.lost(this, 0, error, this.path)
    }
    this.#destination = undefined
  }

  #remove(): void {
    try {
      unlinkSync(this.path)
    } catch (error) {
      this.#context.account.lost(this, 0, error, this.path)
    }
  }
}

/** The path that a system error names. */
function pathOf(error: unknown): string {
  return error instanceof Error && 'path' in error ? `${error.path}` : ''
}
