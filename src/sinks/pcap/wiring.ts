import type { SharedMemoryHandle } from '../../dgram-extended/shared-memory.ts'
import type { RecordQueueWiring } from '../../frames/record-queue.ts'
import { PcapFormat } from '../../pcap-writer/pcap-format.ts'
import { PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import type { RecordFormat } from '../../pcap-writer/record-format.ts'
import type { Overflow } from '../sink.ts'
import type { FileOptions } from './options.ts'

/** What the half in the pipeline and the thread that writes share. */
export interface FileWiring {
  readonly slab: SharedMemoryHandle
  readonly queue: RecordQueueWiring
  readonly options: FileOptions
  readonly overflow: Overflow
  /** Memory of the series table; undefined where all frames are one series. */
  readonly series: SharedArrayBuffer | undefined
  readonly counters: SharedArrayBuffer
  readonly pipelineCounters: SharedArrayBuffer
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

export function createFormat(options: FileOptions): RecordFormat {
  return options.kind === 'pcap' ? new PcapFormat({ precision: options.precision }) : new PcapngFormat()
}

/** What the writing thread tells the main thread. */
export type WriterMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly exitCode: number; readonly what: string; readonly mend: string }
  | {
      readonly kind: 'log'
      readonly level: 'debug' | 'warn' | 'error'
      readonly message: string
      readonly path: string | undefined
    }
  | { readonly kind: 'ended' }
