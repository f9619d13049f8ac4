import type { FailureMessage } from '../../config/terms/failure.ts'
import type { SharedMemoryHandle } from '../../dgram-extended/shared-memory.ts'
import type { RecordQueueWiring } from '../../frames/record-queue.ts'
import type { Overflow } from '../sink.ts'

/** What a sink's thread is made from: its first message. */
export interface ThreadWiring<Options> {
  /** The memory in which the queues are, of all lanes. */
  readonly slab: SharedMemoryHandle
  readonly options: Options
  readonly overflow: Overflow
  /** Of the half that sends. */
  readonly counters: SharedArrayBuffer
  readonly live: boolean
  /** The sink came while the program ran, by SIGHUP. */
  readonly isLate: boolean
  /** Whether lanes number their frames' series. */
  readonly hasSeries: boolean
  /** What the thread sleeps on. */
  readonly bell: SharedArrayBuffer
  /** What the main thread asks for: Int32 words, below. */
  readonly requests: SharedArrayBuffer
}

/** What a half in a pipeline and the thread that sends share. Crosses to the pipeline with its plan, to the thread as a message. */
export interface Lane<Options> {
  readonly id: number
  /** Which worker's; one that died and its successor are the same. */
  readonly worker: number
  readonly queue: RecordQueueWiring
  readonly options: Options
  readonly overflow: Overflow
  /** Someone may be watching what comes out: each batch is handed over at once, unless the thread is far behind. */
  readonly prompt: boolean
  /** Memory in which the thread lends its file; undefined where it lends none. See Loan. */
  readonly loan: SharedArrayBuffer | undefined
  /** Memory of a table that numbers the frames' series; undefined where all frames are one series. */
  readonly series: SharedArrayBuffer | undefined
  /** Of the half in the pipeline. */
  readonly counters: SharedArrayBuffer
  readonly pipelineCounters: SharedArrayBuffer
  /** Memory of the worker's table of peers; undefined where the `peer` column is left alone. */
  readonly peers: SharedArrayBuffer | undefined
}

/** Raised by one for each request to reopen. */
export const REQUEST_REOPEN = 0
/** 1 once the program is to end. */
export const REQUEST_HURRY = 1
/** Raised by one for each lane that has been sent. */
export const REQUEST_LANES = 2
/** ENDING once no lane follows; ABANDONING when the pipeline never began. */
export const REQUEST_END = 3
/** 1 once the thread's wiring has been sent. */
export const REQUEST_WIRING = 4
export const REQUEST_WORDS = 5

export const ENDING = 1
export const ABANDONING = 2

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** All that came through a lane has been taken: so many frames. */
export interface Drained {
  readonly kind: 'drained'
  readonly lane: number
  readonly frames: number
}

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
  | Drained
  /** Nothing can be delivered any more, for a reason that is no trouble. */
  | { readonly kind: 'ended'; readonly reason: string }
