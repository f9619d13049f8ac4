import type { FailureMessage } from '../../config/terms/failure.ts'
import type { SharedMemoryHandle } from '../../dgram-extended/shared-memory.ts'
import type { RecordQueueWiring } from '../../frames/record-queue.ts'
import type { Overflow } from '../sink.ts'

/** What the half in the pipeline and the thread that sends share. */
export interface ThreadWiring<Options> {
  readonly slab: SharedMemoryHandle
  readonly queue: RecordQueueWiring
  readonly options: Options
  readonly overflow: Overflow
  /** Memory of a table that numbers the frames' series; undefined where all frames are one series. */
  readonly series: SharedArrayBuffer | undefined
  readonly counters: SharedArrayBuffer
  readonly pipelineCounters: SharedArrayBuffer
  /** Memory of the worker's table of peers; undefined where the `peer` column is left alone. */
  readonly peers: SharedArrayBuffer | undefined
  /** Someone may be watching what comes out: it goes on its way as soon as the thread has nothing else to do. */
  readonly prompt: boolean
  readonly live: boolean
  /** What the main thread asks for: Int32 words, below. */
  readonly requests: SharedArrayBuffer
}

/** Raised by one for each request to reopen. */
export const REQUEST_REOPEN = 0
/** 1 once the program is to end. */
export const REQUEST_HURRY = 1
export const REQUEST_WORDS = 2

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** What the sending thread tells the main thread. */
export type ThreadMessage =
  | { readonly kind: 'ready' }
  | ({ readonly kind: 'failed' } & FailureMessage)
  | {
      readonly kind: 'log'
      readonly level: LogLevel
      readonly message: string
      readonly fields: Readonly<Record<string, unknown>>
    }
  /** Nothing can be delivered any more, for a reason that is no trouble. */
  | { readonly kind: 'ended'; readonly reason: string }
