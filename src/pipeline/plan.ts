import type { FailureMessage } from '../config/terms/failure.ts'
import type { FilterProgram } from '../dgram-extended/libpcap.ts'
import type { SharedMemoryHandle } from '../dgram-extended/shared-memory.ts'
import type { IdRange } from '../frames/number-set.ts'
import type { SinkWiring, SinkWish } from '../sinks/sink.ts'
import type { NoticeLevel, SourcePlan } from '../sources/source.ts'
import type { GreKeyMode } from '../wire/decapsulator.ts'
import type { FinishOptions } from './finish.ts'
import type { SessionMemory } from './mirror-sessions.ts'
import type { Depth } from './nested.ts'
import type { RebuildOptions } from './rebuild.ts'
import type { SelectOptions } from './select.ts'

/** The frames that a sink wants. */
export interface SinkChoice {
  /** Tunnel identifiers; empty = all. */
  readonly wanted: readonly IdRange[]
  /** Undefined = all. */
  readonly filter?: FilterProgram | undefined
}

/** What can be changed while frames are received, as the user wants it. */
export interface Choice extends Pick<SelectOptions, 'filter' | 'sample'> {
  readonly wanted: readonly IdRange[]
  readonly allowFrom: readonly string[]
  /** All that there are from now on. */
  readonly sinks: readonly SinkWish[]
}

/** The same for a worker: crosses to it as a message. */
export interface WorkerChoice extends Omit<Choice, 'sinks'> {
  /** All that there are from now on, by number. */
  readonly sinks: readonly (SinkChoice & { readonly id: number })[]
  /** Those of them that are new. */
  readonly added: readonly SinkPlan[]
}

/** There is room for a queue to a sink that a worker went without: crosses to it as a message. */
export interface WorkerRefit {
  readonly refitted: SinkPlan
  readonly isQuarantine: boolean
}

/** A sink as the pipeline's worker gets it. */
export interface SinkPlan extends SinkChoice {
  /** Names it among the sinks of a run. */
  readonly id: number
  /** Module of its half in the pipeline. */
  readonly pipelineHalf: string
  readonly wiring: SinkWiring
  /** Of this half, and of the half that sends. */
  readonly counters: SharedArrayBuffer
  readonly sent: SharedArrayBuffer
  /** As the user wrote it. */
  readonly name: string
  /** LINKTYPE_ value of the only frames that it can take; undefined = any. */
  readonly linkType: number | undefined
}

/** What the frames go through, as the user wants it. */
export interface PipelineOptions extends RebuildOptions, SelectOptions, FinishOptions {
  readonly source: SourcePlan
  readonly strict: boolean
  readonly greKeyMode: GreKeyMode
  /** Tunnels to take off each frame at most; see NestedTunnels. */
  readonly depth: Depth
  /** Tunnel identifiers to let in; empty = all. */
  readonly wanted: readonly IdRange[]
  /** Networks that tunnels may come from; empty = all. */
  readonly allowFrom: readonly string[]
  /** The time that frames get: when they came, or when the mirror saw them, where its header tells. */
  readonly timestamps: 'arrival' | 'source'
  /** Count the frames of each peer. */
  readonly countPeers?: boolean
  /** Stop after so many frames; Infinity = never. */
  readonly count: number
  /** Threads that share the work; 1 where the source cannot be shared. */
  readonly workers: number
  /** Sinks may come while it runs. */
  readonly mayGrow?: boolean
}

/** All that a pipeline's worker needs; crosses to its thread once, as the first message. */
export interface PipelinePlan extends PipelineOptions {
  /** Which of the workers it is for, from 0 on. */
  readonly worker: number
  /** See FrameBudget; undefined where frames are not counted to an end. */
  readonly budget: SharedArrayBuffer | undefined
  /** The memory of all workers; from byteOffset on there is this one's source, and its reassembler behind that. */
  readonly slab: SharedMemoryHandle
  readonly byteOffset: number
  readonly counters: SharedArrayBuffer
  readonly tunnelCounts: SharedArrayBuffer
  readonly control: SharedArrayBuffer
  /** Memory of the table of peers; undefined where nothing depends on who sends: asking the kernel for it costs 50 ns a datagram. */
  readonly peers: SharedArrayBuffer | undefined
  /** Memory of the frames of each peer; undefined = nobody asks. */
  readonly peerCounts?: SharedArrayBuffer | undefined
  /** Undefined where no tunnel numbers its frames. */
  readonly sessions: SessionMemory | undefined
  readonly sinks: readonly SinkPlan[]
  /** Where refused packets go; undefined = nowhere. */
  readonly quarantine: SinkPlan | undefined
}

/** Words of the control memory. */
export const CONTROL_STOP = 0
/** Counts the worker's turns: while it moves, the worker lives. */
export const CONTROL_TURNS = 1
/** 1 while the worker may wait for a disk. */
export const CONTROL_WRITES = 2
export const CONTROL_WORDS = 4

/** Tunnel identifiers that are counted one by one. */
export const COUNTED_TUNNELS = 4096
/** Peers that have a number of their own. */
export const COUNTED_PEERS = 16_384
/** Outer datagrams that wait for more pieces, beside those that one batch completes. */
export const INCOMPLETE_DATAGRAMS = 64

/** What a worker tells the main thread. */
export type WorkerMessage =
  | SourceReady
  /** The last choice is in force. */
  | { readonly kind: 'chosen' }
  | { readonly kind: 'finished'; readonly problem: string | undefined }
  | { readonly kind: 'notice'; readonly level: NoticeLevel; readonly text: string }
  | { readonly kind: 'failed'; readonly failure: FailureMessage }

/** The source is open. */
export interface SourceReady {
  readonly kind: 'ready'
  readonly description: readonly string[]
  readonly warnings: readonly string[]
  /** See Source. */
  readonly group: unknown
  readonly legacy: unknown
}

/** The one message behind the plan: what was opened may be used. */
export const BEGIN = 'begin'
