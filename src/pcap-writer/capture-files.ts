import { Account } from './account.ts'
import { CaptureFile, type Create, type FileContext } from './capture-file.ts'
import type { CaptureFilesOptions } from './capture-files-options.ts'
import { cannotCreate, checkFolder } from './create-errors.ts'
import { type Destination, type FileCalls, SYSTEM_CALLS } from './destination.ts'
import { errorCode } from './errors.ts'
import { describeSeries } from './file-interfaces.ts'
import { existingFiles, FileNames, without } from './file-names.ts'
import { FileSlots, type Slot } from './file-slots.ts'
import { OpenFiles } from './open-files.ts'
import type { PathTemplate } from './path-template.ts'
import { countRecords, recordsBefore, recordsUntil } from './record-format.ts'
import { standardOutput } from './redirected-output.ts'
import { checkedKeep, type FileInUse, Retention } from './retention.ts'
import { ALWAYS, checkedRotation, type Interval, intervalAt, isRotating, type Rotation } from './rotation.ts'

const DEFAULT_OPEN_FILES = 128

/** Writes whole records to the files they belong in: names, rotation, retention, compression, and what to do when the disk refuses. */
export class CaptureFiles {
  readonly #options: CaptureFilesOptions
  readonly #template: PathTemplate | undefined
  readonly #rotation: Rotation
  readonly #context: FileContext
  readonly #account: Account
  readonly #names: FileNames | undefined
  readonly #openFiles: OpenFiles
  readonly #slots: FileSlots
  /** Files with records that wait for the commit. */
  readonly #touched = new Set<CaptureFile>()
  #retention: Retention | undefined
  #retentionIsDue = false
  /** When `tick` last looked for files that somebody removed. */
  #lookedAt = 0
  readonly #stream: Destination | undefined

  /** `calls` is for tests that make the system stop in the middle of a write. */
  constructor(options: CaptureFilesOptions, calls: FileCalls = SYSTEM_CALLS) {
    this.#options = options
    this.#rotation = checkedRotation(options.rotate ?? {})
    this.#openFiles = new OpenFiles(options.maxOpenFiles ?? DEFAULT_OPEN_FILES)
    this.#account = new Account(options.events)
    const keepWaiting = options.keepWaiting ?? (() => true)
    this.#slots = new FileSlots(options.path === 'stdout' ? undefined : options.path, (index) => options.series(index))
    if (options.path === 'stdout') {
      this.#stream = standardOutput(calls, keepWaiting)
    } else {
      this.#template = options.compress === 'gzip' ? options.path.gzipped() : options.path
      this.#names = new FileNames(this.#template, isRotating(this.#rotation), calls, keepWaiting)
    }
    this.#context = {
      format: options.format,
      gzip: options.compress === 'gzip',
      calls,
      account: this.#account,
      events: options.events,
      opened: (open) => this.#openFiles.opened(open),
      describe: (index) => options.describe?.(index) ?? describeSeries(options.series(index)),
      statistics: options.statistics?.bind(options),
    }
  }

  /** Frames that are in files. */
  get written(): number {
    return this.#account.written
  }

  /** Frames that could not be written. After a commit `written + droppedFrames` is what was added, but for one frame that a stalled pipe has half. */
  get droppedFrames(): number {
    return this.#account.dropped
  }

  /** Bytes in files, headers and blocks included, after compression. */
  get bytes(): number {
    return this.#account.bytes
  }

  /** Regular files that are open. */
  get openFiles(): number {
    return this.#openFiles.size
  }

  /**
   * Creates the first file, or, where its name needs a series, checks the folder; so that a path that cannot be written is known before
   * anything is received. `mayNumber`: a name without fields that is taken gets a number, as after `reopen`, and is no error.
   * Throws a {@link CannotCreateError}.
   */
  open(nowSeconds: number, mayNumber = false): void {
    const template = this.#template
    if (template !== undefined) this.#findEarlierFiles(template)
    if (template?.hasSeriesFields) {
      checkFolder(template.folder)
      return
    }
    const slot = this.#slots.only()
    const mustHaveOwnName = !mayNumber && !isRotating(this.#rotation) && template?.hasTimeFields === false
    const file = this.#newFile(slot, nowSeconds, mustHaveOwnName)
    slot.file = file
    try {
      file.open()
    } catch (error) {
      const path = template?.text ?? 'standard output'
      // ENXIO: a FIFO that nobody reads yet; its reader may come at any time.
      if (errorCode(error) !== 'ENXIO') throw cannotCreate(path, error)
      this.#account.lost(file, 0, new Error('it has no reader yet'), path)
    }
    this.#openFiles.note(file)
    this.#enforceRetention()
  }

  /**
   * Takes whole records of one series: `frames` of them in [start, end) of `bytes`, in any order of time, the latest at
   * `lastSecond`. Borrowed until `commit` returns; their interface ids may be rewritten.
   */
  add(bytes: Uint8Array, start: number, end: number, frames: number, lastSecond: number, series: number): void {
    if (this.#account.hasEnded) {
      this.#account.ended(frames)
      return
    }
    const slot = this.#slots.of(series)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let at = start
    let left = frames
    while (at < end) {
      const second = this.#options.format.secondsAt(view, at)
      const file = this.#fileFor(slot, second, this.#options.format.lengthAt(view, at), series)
      const cut = this.#cut(file, view, at, end, lastSecond, series)
      const count = cut === end ? left : countRecords(this.#options.format, view, at, cut)
      file.append(bytes, view, at, cut, count, series)
      this.#touched.add(file)
      at = cut
      left -= count
    }
  }

  /** Writes what was added. Never throws for what the disk or a reader does. */
  commit(): void {
    for (const file of this.#touched) this.#flush(file)
    this.#touched.clear()
    this.#account.settle()
    this.#enforceRetention()
  }

  /**
   * The file that all records go to, where somebody else may append whole records to it as they are: up to `room` bytes of frames that
   * arrived within the interval, until repaid(). Nothing else is to be called meanwhile.
   */
  lend(): { readonly fd: number; readonly room: number; readonly interval: Interval } | undefined {
    if (this.#template === undefined || this.#template.hasSeriesFields) return undefined
    const { file } = this.#slots.only()
    const fd = file?.lend()
    if (file === undefined || fd === undefined) return undefined
    return { fd, room: (this.#rotation.bytes ?? Number.POSITIVE_INFINITY) - file.size, interval: file.interval }
  }

  /** As {@link CaptureFile.repaid}. */
  repaid(frames: number, bytes: number, isBroken: boolean): void {
    this.#slots.only().file?.repaid(frames, bytes, isBroken)
    this.#account.settle()
  }

  /**
   * Finishes files whose interval has ended without a record past it, leaves those that somebody removed, and tries again to create
   * what could not be. Call it once a second or more often.
   */
  tick(nowSeconds: number): void {
    if (this.#account.hasEnded) return
    const looksForRemoved = nowSeconds !== this.#lookedAt
    this.#lookedAt = nowSeconds
    for (const slot of this.#slots.all()) {
      const file = slot.file
      if (file === undefined) continue
      if (looksForRemoved && file.leaveIfRemoved()) this.#left(slot, file)
      else if (!file.isCreated) this.#flush(file)
      else if (!file.isStream && file.interval.end <= nowSeconds) this.#finish(slot, file)
    }
    this.#account.settle()
    this.#enforceRetention()
  }

  /** Finishes all files; the next records go to new ones. Streams go on. */
  reopen(): void {
    this.commit()
    for (const slot of this.#slots.all()) {
      if (slot.file !== undefined && !slot.file.isStream) this.#finish(slot, slot.file)
    }
    this.#enforceRetention()
  }

  /** Writes what was added and finishes all files. May be called again. */
  close(): void {
    this.commit()
    for (const slot of this.#slots.all()) {
      if (slot.file !== undefined) this.#finish(slot, slot.file)
    }
    this.#enforceRetention()
  }

  /** Takes away the files that have no record; instead of `close`, when it turned out that none will come. */
  discard(): void {
    for (const { file } of this.#slots.all()) {
      if (file?.isCreated && !file.isStream && file.isEmpty) file.discard()
    }
    this.#slots.clear()
  }

  #findEarlierFiles(template: PathTemplate): void {
    const { keep, spare, events } = this.#options
    if (keep === undefined && !isRotating(this.#rotation)) return
    const earlier = existingFiles(template)
    this.#names?.continueNumbering(earlier)
    if (keep !== undefined) this.#retention = new Retention(checkedKeep(keep), without(spare, earlier), events)
  }

  /** The slot's file, a new one if a record of that time, length and series does not belong in the present one any more. */
  #fileFor(slot: Slot, second: number, recordBytes: number, series: number): CaptureFile {
    if (slot.file !== undefined) this.#rotate(slot, slot.file, second, recordBytes, series)
    slot.file ??= this.#newFile(slot, second)
    return slot.file
  }

  /** Empties the slot if its file is over for such a record. */
  #rotate(slot: Slot, file: CaptureFile, second: number, recordBytes: number, series: number): void {
    if (file.isStream) return
    const limit = this.#rotation.bytes ?? Number.POSITIVE_INFINITY
    const isFull = !file.isEmpty && file.sizeWith(recordBytes, series) > limit
    if (second >= file.interval.end || isFull) this.#finish(slot, file)
    else if (second < file.interval.start && file.isEmpty && file.isCreated) {
      // Opened for the present, but the records are of the past: they get a file with their own time in its name.
      file.discard()
      this.#release(slot, file)
    }
  }

  /** Where the records that fit the file end; behind the first one at least. */
  #cut(file: CaptureFile, view: DataView, at: number, end: number, lastSecond: number, series: number): number {
    const format = this.#options.format
    if (file.isStream) return end
    let cut = end
    const limit = this.#rotation.bytes
    if (limit !== undefined && file.sizeWith(end - at, series) > limit) {
      const room = limit - file.sizeWith(0, series)
      cut = Math.max(recordsBefore(format, view, at, end, at + room), at + format.lengthAt(view, at))
    }
    return lastSecond >= file.interval.end ? recordsUntil(format, view, at, cut, file.interval.end) : cut
  }

  #newFile(slot: Slot, second: number, mustHaveOwnName = false): CaptureFile {
    const { seconds } = this.#rotation
    const interval = seconds === undefined ? ALWAYS : intervalAt(second, seconds)
    const nameSecond = seconds === undefined ? second : interval.start
    let isFirst = true
    return new CaptureFile(this.#context, interval, () => {
      const isStrict = mustHaveOwnName && isFirst
      isFirst = false
      const created = this.#create(slot, nameSecond, isStrict)
      this.#options.events.opened(created.path)
      if (created.destination.isFile) this.#retention?.began({ path: created.path, seriesKey: slot.key })
      return created
    })
  }

  #create(slot: Slot, second: number, mustHaveOwnName: boolean): ReturnType<Create> {
    if (this.#stream !== undefined) return { path: '-', destination: this.#stream }
    this.#retentionIsDue = true
    const names = this.#names!
    return mustHaveOwnName ? names.createUnnumbered(second, slot.series) : names.create(second, slot.series)
  }

  #flush(file: CaptureFile): void {
    this.#openFiles.makeRoomFor(file)
    file.flush()
    this.#openFiles.note(file)
  }

  /** Records that wait keep the file in its slot: their commit creates it anew. */
  #left(slot: Slot, file: CaptureFile): void {
    if (file.isEmpty) this.#release(slot, file)
    else this.#openFiles.note(file)
  }

  #finish(slot: Slot, file: CaptureFile): void {
    this.#openFiles.makeRoomFor(file)
    const path = file.finish()
    if (path !== undefined) this.#retention?.finished({ path, seriesKey: slot.key })
    this.#release(slot, file)
  }

  #release(slot: Slot, file: CaptureFile): void {
    this.#retentionIsDue = true
    this.#openFiles.note(file)
    this.#account.finished(file)
    this.#touched.delete(file)
    slot.file = undefined
  }

  #enforceRetention(): void {
    if (!this.#retentionIsDue) return
    this.#retentionIsDue = false
    const inUse: FileInUse[] = []
    for (const { key, file } of this.#slots.all()) {
      if (file?.isCreated && !file.isStream) inUse.push({ path: file.path, seriesKey: key })
    }
    this.#retention?.enforce(inUse)
  }
}
