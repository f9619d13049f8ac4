import { parentPort, workerData } from 'node:worker_threads'
import { EXIT_CANNOT_CREATE, toFailureMessage } from '../../config/terms/failure.ts'
import { openSharedMemory } from '../../dgram-extended/shared-memory.ts'
import { RecordConsumer } from '../../frames/record-queue.ts'
import { CaptureFiles } from '../../pcap-writer/capture-files.ts'
import { CannotCreateError } from '../../pcap-writer/errors.ts'
import { PathTemplate } from '../../pcap-writer/path-template.ts'
import { PipelineCounters, SinkCounters } from '../../telemetry/counters.ts'
import { SeriesTable } from './series-table.ts'
import { createFormat, type FileWiring, REQUEST_HURRY, REQUEST_REOPEN, type WriterMessage } from './wiring.ts'

/** Between two looks at the clock and at requests, when nothing comes. */
const IDLE_MS = 100
/** A reader that took nothing for so long, when the program is to end, has stopped. */
const PATIENCE_MS = 1000
/** Frames come here as much as a quarter of a second after they arrived: so long a finished interval's file waits for them. */
const LATE_SECONDS = 1
/** Segments of this many bytes are written together, so that their memory comes back while more is written. */
const COMMIT_BYTES = 4 << 20

/** Takes records out of the queue and puts them into files: whatever the disk does, only this thread waits for it. */
class FileWriter {
  readonly #wiring: FileWiring
  readonly #consumer: RecordConsumer
  readonly #files: CaptureFiles
  readonly #counters: SinkCounters
  readonly #requests: Int32Array
  #reopened = 0
  #gaveUp = false

  constructor(wiring: FileWiring) {
    this.#wiring = wiring
    this.#consumer = new RecordConsumer(wiring.queue, new Uint8Array(openSharedMemory(wiring.slab)))
    this.#counters = new SinkCounters(wiring.counters)
    this.#requests = new Int32Array(wiring.requests)
    this.#files = this.#captureFiles()
  }

  run(): void {
    this.#files.open(now())
    post({ kind: 'ready' })
    for (;;) {
      const closed = this.#consumer.closed()
      const wrote = this.#writeSome()
      if (!wrote && closed) break
      const reopen = Atomics.load(this.#requests, REQUEST_REOPEN)
      if (reopen !== this.#reopened) this.#files.reopen()
      this.#reopened = reopen
      if (this.#wiring.live) this.#files.tick(now() - LATE_SECONDS)
      if (!wrote) this.#consumer.wait(IDLE_MS)
    }
    if (this.#consumer.abandoned()) this.#files.discard()
    else this.#files.close()
    this.#count()
  }

  #writeSome(): boolean {
    const consumer = this.#consumer
    let bytes = 0
    while (bytes < COMMIT_BYTES && consumer.take()) {
      const { start, end, frames, lastSecond, series } = consumer
      this.#files.add(consumer.bytes, start, end, frames, lastSecond, series)
      bytes += end - start
    }
    if (bytes === 0) return false
    this.#files.commit()
    consumer.release()
    this.#count()
    return true
  }

  #count(): void {
    this.#counters.setSent(this.#files.written, this.#files.bytes, this.#files.droppedFrames)
  }

  /** A reader may be as slow as it likes; one that has stopped must not keep the program from ending. */
  #keepsWaiting(stalledMilliseconds: number): boolean {
    if (Atomics.load(this.#requests, REQUEST_HURRY) === 0) return true
    this.#gaveUp ||= stalledMilliseconds >= PATIENCE_MS
    return !this.#gaveUp
  }

  #captureFiles(): CaptureFiles {
    const { options } = this.#wiring
    const series = this.#wiring.series && new SeriesTable(this.#wiring.series)
    const pipeline = new PipelineCounters(this.#wiring.pipelineCounters)
    return new CaptureFiles({
      format: createFormat(options),
      path: options.target === '-' ? 'stdout' : new PathTemplate(options.target),
      ...(options.rotate && { rotate: options.rotate }),
      ...(options.keep && { keep: options.keep }),
      ...(options.compress && { compress: options.compress }),
      maxOpenFiles: options.openFiles,
      series: (index) => series?.describe(index) ?? { encapsulation: 'all', tunnelId: undefined },
      ...(series && {
        statistics: (index: number) => ({
          received: series.offered(index),
          dropped: series.lost(index),
          kernelDropped: pipeline.kernelDropped,
        }),
      }),
      keepWaiting: (stalledMilliseconds) => this.#keepsWaiting(stalledMilliseconds),
      events: {
        opened: (path) => log('debug', 'File opened.', path),
        closed: (path) => log('debug', 'File finished.', path),
        trouble: (error, path) => log('error', `Cannot write, frames are being lost: ${text(error)}`, path),
        recovered: (lost) => log('warn', `Writing again; ${lost} frames were lost.`),
        ended: () => post({ kind: 'ended' }),
        removed: (path) => log('debug', 'File removed, as keep= asks.', path),
        cannotRemove: (error, path) => log('warn', `Cannot remove a file that keep= lets go: ${text(error)}`, path),
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

function log(level: 'debug' | 'warn' | 'error', message: string, path?: string): void {
  post({ kind: 'log', level, message, path })
}

function post(message: WriterMessage): void {
  parentPort!.postMessage(message)
}

try {
  new FileWriter(workerData as FileWiring).run()
} catch (error) {
  if (error instanceof CannotCreateError) {
    const [what = '', mend = ''] = error.message.split('\n')
    post({ kind: 'failed', exitCode: EXIT_CANNOT_CREATE, what, mend })
  } else if (parentPort === null) throw error
  else post({ kind: 'failed', ...toFailureMessage(error) })
}
