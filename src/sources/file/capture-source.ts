import { EXIT_NO_INPUT, EXIT_NO_PERMISSION, Failure } from '../../config/terms/failure.ts'
import type { FrameBatch } from '../../frames/frame-batch.ts'
import type { ByteFeed } from '../../pcap-writer/byte-feed.ts'
import { CaptureOpenError, openCapture } from '../../pcap-writer/open-capture.ts'
import { CaptureReader } from '../../pcap-writer/reader.ts'
import { END_OF_SOURCE, type Source, type SourceContext } from '../source.ts'

/** A capture file, or one that comes in through a pipe. Its packets have their outer headers. */
class FileSource implements Source {
  readonly description: readonly string[]
  readonly warnings: readonly string[] = []
  readonly #feed: ByteFeed
  readonly #reader: CaptureReader
  #waiting: Promise<number> | undefined

  constructor(path: string, feed: ByteFeed, context: SourceContext) {
    this.description = [path === '-' ? 'standard input' : path]
    this.#feed = feed
    this.#reader = new CaptureReader(feed, context.memory, context.byteOffset, context.byteLength)
  }

  get problem(): string | undefined {
    const problem = this.#reader.problem
    return problem && `${this.description[0]}: byte ${problem.offset}: ${problem.reason}`
  }

  receive(batch: FrameBatch, maxRows: number, milliseconds: number): number | Promise<number> {
    const result = this.#waiting ?? this.#reader.next(batch, maxRows)
    if (typeof result === 'number') return took(batch, result)
    this.#waiting = result
    return this.#receiveInTime(batch, result, milliseconds)
  }

  position(): number {
    return this.#feed.bytesRead ?? 0
  }

  kernelDrops(): number {
    return 0
  }

  close(): void {
    this.#feed.close()
  }

  /** A pipe may stay silent for long; the next receive() then waits for the same read. */
  async #receiveInTime(batch: FrameBatch, result: Promise<number>, milliseconds: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), milliseconds)
    })
    const rows = await Promise.race([result, late])
    clearTimeout(timer)
    if (rows === undefined) return took(batch, undefined)
    this.#waiting = undefined
    return took(batch, rows)
  }
}

/** `rows`: what the reader gave, 0 being its end; undefined when it is still waiting. */
function took(batch: FrameBatch, rows: number | undefined): number {
  batch.count = rows ?? 0
  if (rows === undefined) return 0
  return rows === 0 ? END_OF_SOURCE : rows
}

/** Throws Failure. */
export function openFile(path: string, context: SourceContext): Source {
  try {
    return new FileSource(path, openCapture(path), context)
  } catch (error) {
    if (!(error instanceof CaptureOpenError)) throw error
    const [what = '', mend = ''] = error.message.split('\n')
    throw new Failure(error.code === 'EACCES' ? EXIT_NO_PERMISSION : EXIT_NO_INPUT, what, mend)
  }
}
