import { EXIT_CANNOT_CREATE, Failure } from '../../config/terms/failure.ts'
import type { RecordConsumer } from '../../frames/record-consumer.ts'
import { CaptureFiles } from '../../pcap-writer/capture-files.ts'
import type { CaptureFilesOptions } from '../../pcap-writer/capture-files-options.ts'
import { CannotCreateError } from '../../pcap-writer/errors.ts'
import { PathTemplate } from '../../pcap-writer/path-template.ts'
import { PipelineCounters } from '../../telemetry/counters.ts'
import type { Loan, Repayment } from '../thread/loan.ts'
import type { Sender, SinkThread } from '../thread/loop.ts'
import type { Lane } from '../thread/wiring.ts'
import { createFormat, type FileOptions } from './file-options.ts'
import { SeriesLanes } from './series-lanes.ts'

/** A reader that took nothing for so long, when the program is to end, has stopped. */
const PATIENCE_MS = 1000
/** Frames come here as much as a quarter of a second after they arrived: so long a finished interval's file waits for them. */
const LATE_SECONDS = 1

/** Puts records into files: whatever the disk does, only this thread waits for it. */
export class FileWriter implements Sender<FileOptions> {
  readonly usesEventLoop: boolean = false
  readonly unfit: number = 0
  readonly #thread: SinkThread<FileOptions>
  readonly #files: CaptureFiles
  readonly #series: SeriesLanes = new SeriesLanes()
  readonly #pipelines: Map<number, PipelineCounters> = new Map()
  #gaveUp = false
  #hasOpened = false

  /** `describe`: what pcapng's interfaces are called, where they are not tunnels. */
  constructor(thread: SinkThread<FileOptions>, describe?: CaptureFilesOptions['describe']) {
    this.#thread = thread
    this.#files = this.#captureFiles(describe)
  }

  get written(): number {
    return this.#files.written
  }

  get bytes(): number {
    return this.#files.bytes
  }

  get failed(): number {
    return this.#files.droppedFrames
  }

  open(): void {
    try {
      this.#files.open(now(), this.#thread.wiring.isLate)
    } catch (error) {
      if (!(error instanceof CannotCreateError)) throw error
      const [what = '', mend = ''] = error.message.split('\n')
      throw new Failure(EXIT_CANNOT_CREATE, what, mend)
    }
  }

  use(lane: Lane<FileOptions>): void {
    this.#series.use(lane)
    this.#pipelines.set(lane.worker, new PipelineCounters(lane.pipelineCounters))
  }

  leave(lane: Lane<FileOptions>): void {
    this.#series.leave(lane)
  }

  add({ bytes, start, end, frames, lastSecond, series }: RecordConsumer): void {
    this.#files.add(bytes, start, end, frames, lastSecond, this.#series.of(series))
  }

  commit(): void {
    this.#files.commit()
  }

  lend(): Loan | undefined {
    return this.#files.lend()
  }

  repaid({ frames, bytes, isBroken }: Repayment): void {
    this.#files.repaid(frames, bytes, isBroken)
  }

  tick(): void {
    if (this.#thread.wiring.live) this.#files.tick(now() - LATE_SECONDS)
  }

  reopen(): void {
    this.#files.reopen()
  }

  close(): void {
    this.#files.close()
  }

  discard(): void {
    this.#files.discard()
  }

  /** The first name is told to whoever gave fields, or no name: they cannot know it. */
  #sayOpened(path: string): void {
    const { target } = this.#thread.wiring.options
    const isNews = !this.#hasOpened && path !== target && target !== '-'
    this.#hasOpened = true
    this.#thread.log(isNews ? 'info' : 'debug', 'File opened.', { path })
  }

  /** A reader may be as slow as it likes; one that has stopped must not keep the program from ending. */
  #keepsWaiting(stalledMilliseconds: number): boolean {
    if (!this.#thread.isHurried) return true
    this.#gaveUp ||= stalledMilliseconds >= PATIENCE_MS
    return !this.#gaveUp
  }

  #captureFiles(describe: CaptureFilesOptions['describe']): CaptureFiles {
    const thread = this.#thread
    const { options, hasSeries } = thread.wiring
    const series = this.#series
    return new CaptureFiles({
      format: createFormat(options),
      path: options.target === '-' ? 'stdout' : new PathTemplate(options.target),
      ...(options.rotate && { rotate: options.rotate }),
      ...(options.keep && { keep: options.keep }),
      spare: options.input,
      ...(options.compress && { compress: options.compress }),
      maxOpenFiles: options.openFiles,
      series: (index) => (hasSeries ? series.describe(index) : { encapsulation: 'all', tunnelId: undefined }),
      ...(describe && { describe }),
      ...(hasSeries && {
        statistics: (index: number) => ({
          received: series.offered(index),
          dropped: series.lost(index),
          kernelDropped: PipelineCounters.sum([...this.#pipelines.values()]).kernelDropped,
        }),
      }),
      keepWaiting: (stalledMilliseconds) => this.#keepsWaiting(stalledMilliseconds),
      events: {
        opened: (path) => this.#sayOpened(path),
        closed: (path) => thread.log('debug', 'File finished.', { path }),
        trouble: (error, path) => thread.log('error', `Cannot write, frames are being lost: ${text(error)}`, { path }),
        recovered: (lost) => thread.log('warn', `Writing again; ${lost} frames were lost.`),
        ended: () => thread.ended('The reader of standard output has gone.'),
        removed: (path) => thread.log('debug', 'File removed, as keep= asks.', { path }),
        cannotRemove: (error, path) =>
          thread.log('warn', `Cannot remove a file that keep= lets go: ${text(error)}`, { path }),
      },
    })
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
