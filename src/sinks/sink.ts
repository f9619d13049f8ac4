import type { Logger } from 'pino'
import type { z } from 'zod'
import type { FailureMessage } from '../config/terms/failure.ts'
import type { Finding } from '../config/terms/finding.ts'
import type { FilterProgram } from '../dgram-extended/libpcap.ts'
import type { SharedMemoryHandle } from '../dgram-extended/shared-memory.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import type { IdRange } from '../frames/number-set.ts'
import type { PeerTable } from '../frames/peer-table.ts'
import type { NamePattern } from '../pcap-writer/name-pattern.ts'
import type { SinkCounters } from '../telemetry/counters.ts'
import type { SinkAccount } from '../telemetry/sink-account.ts'
import type { Verdict } from '../wire/verdict.ts'

/**
 * The half of a sink that lives in the pipeline's thread. write() is never called again before it has returned, and
 * never after close().
 */
export interface FrameSink {
  /**
   * Takes frames rows[0..count) of the batch. The batch is borrowed: its memory is reused as soon as this returns.
   * Every frame is counted, as written, queued or lost; trouble with the sink's target never throws out of here.
   */
  write(batch: FrameBatch, rows: Uint16Array, count: number): void
  /** Somebody may be watching what comes out; absent = nobody is. */
  readonly isWatched?: boolean
  /** Of a sink that loses frames when it is full: whether it has room for so many bytes. Absent = it is never full. */
  hasRoomFor?(bytes: number): boolean
  /** Until that may have changed, at most so long. */
  waitForRoom?(milliseconds: number): void
  /**
   * Of a sink with a thread of its own, for which nobody else waits: whether it may send from this one what has come together, or all
   * of it, where that is cheaper. `bytes`: the batch's. It takes as long as sending takes.
   */
  writeHere?(bytes: Uint8Array, isAll: boolean): void
  /** Nothing has come for a moment, or enough time has passed: what is buffered goes on its way. */
  flush(): void
  /** No frame follows. */
  close(): void
}

/** What the two halves of a sink share: numbers and shared memory, structured-clonable. */
export type SinkWiring = unknown

/** What the module of a sink's half in the pipeline exports. */
export interface PipelineHalf {
  attach(wiring: SinkWiring, counters: SinkCounters): FrameSink
}

/** Where refused packets go, as they came: the half that lives in the pipeline's thread. */
export interface Quarantine {
  /** Takes the packet of a row, whose columns are those that the source gave it. Borrowed, as in FrameSink.write. */
  add(batch: FrameBatch, row: number, verdict: Verdict): void
  /** Counts packets that should be here and are nowhere any more. */
  lose(packets: number): void
  flush(): void
  close(): void
}

/** What the module of that half exports. */
export interface QuarantineHalf {
  /** `peers`: who sends what comes without outer headers. */
  attach(wiring: SinkWiring, counters: SinkCounters, peers: PeerTable | undefined): Quarantine
}

/** What joins one worker's pipeline with a sink. */
export interface LaneContext {
  /** Names it among the sink's lanes. */
  readonly id: number
  /** Which worker's; one that died and its successor are the same. */
  readonly worker: number
  /** Of the half in that pipeline. */
  readonly counters: SinkCounters
  /** The part of the slab that is the lane's. */
  readonly byteOffset: number
  readonly byteLength: number
  /** Memory of the worker's table of peers; undefined where the `peer` column is left alone. */
  readonly peers: SharedArrayBuffer | undefined
  /** For statistics written at a file's end: packets that the kernel has dropped for this worker. */
  readonly pipelineCounters: SharedArrayBuffer
  /** To be called once all that came through the lane, `frames` of them, has been taken on: its part of the slab is free then. */
  drained(frames: number): void
}

/** A sink as the main thread sees it. */
export interface OpenSink {
  /** Module of the half in the pipeline: what it exports is a PipelineHalf. The worker loads no more of the sink than that. */
  readonly pipelineHalf: URL
  /** Joins one more worker: with what this returns, its half is made. */
  attach(lane: LaneContext): SinkWiring
  /** The worker that this lane was for is gone, or has closed its half: no frame comes through it any more. */
  detach(lane: number): void
  /** Called after all halves in pipelines have been closed: resolves when all that was queued has gone out. */
  close(): Promise<void>
  /** The pipeline never began: as close(), and what was made for it is taken away again. */
  abandon(): Promise<void>
  /** The program is to end: a reader that takes nothing any more is given up. close() follows. */
  hurry(): void
  /** SIGHUP: files are closed and opened anew. */
  reopen(): void
}

export type Overflow = 'drop' | 'block'

/** What every sink may be given after `?`, whatever its kind; read by the pipeline. */
export interface CommonSinkOptions {
  /** What happens when the queue is full: lose this sink's newest frames, or wait (only where waiting loses nothing). */
  readonly overflow: Overflow
  /** Bytes of the queue. */
  readonly queue: number
}

/** What a sink's files may be called. */
export type SinkNames = NamePattern

/** A sink as the user wants it. */
export interface SinkWish {
  readonly type: string
  /** As the user wrote it. */
  readonly name: string
  /** What the sink's own schema made of it. */
  readonly options: unknown
  readonly common: CommonSinkOptions
  /** The tunnel identifiers that it wants; empty = all. */
  readonly wanted: readonly IdRange[]
  /** The frames that it wants; undefined = all. */
  readonly filter: FilterProgram | undefined
}

/** What a sink gets in the main thread. */
export interface SinkContext {
  /** As the user wrote it, for messages. */
  readonly name: string
  readonly log: Logger
  /** Resolves when the program has said that it listens: its first line, which programs wait for, must be that one. */
  readonly announced: Promise<void>
  readonly account: SinkAccount
  readonly common: CommonSinkOptions
  /** The memory in which all lanes have their parts. */
  readonly slab: SharedMemoryHandle
  /** Input comes from the network now, not from a file. */
  readonly live: boolean
  /** The file that is read; absent = none. */
  readonly input?: string | undefined
  /** It comes while the program runs, by SIGHUP: what it finds taken may be its predecessor's. */
  readonly isLate?: boolean
  /** Aborted when the program is to end while the sink is being opened: as hurry(), which there is nobody to ask for yet. */
  readonly hurried?: AbortSignal
  /** IP packets that were mirrored without Ethernet come bare. */
  readonly rawIp: boolean
  /** Nothing can be delivered any more (a reader has gone): ask the program to stop, unless other sinks go on. */
  stop(reason: string): void
  /** The half that sends has failed, through a defect of ours: ask the program to stop and to say so. */
  fail(failure: FailureMessage): void
}

/** What `check` knows beside a sink's own options. */
export interface CheckContext {
  /** What the sinks in front of this one will have, such as `TAP device ids0`: it looks there, and adds its own. */
  readonly taken: Set<string>
}

/** A row of the registry of sinks. */
export interface SinkType<Options> {
  /** As in `--out TYPE:TARGET`. */
  readonly type: string
  /** For --help: one line what it is, further lines for keys of its own. */
  readonly summary: string
  readonly keys: readonly string[]
  /** Shown by --help; a test opens it. */
  readonly example: string
  /** Whether something may stand behind `TYPE:`; the options' schema gets it as `target`. */
  readonly takesTarget: boolean
  /** Strict schema of the target and of what may follow `?`; defaults live here and nowhere else. */
  readonly options: z.ZodType<Options>
  /** Reads the frames' `peer` column; absent = it does not, and without --allow-from nobody asks who sends. */
  needsPeers?(options: Options): boolean
  /** Whether frames may be bare IP packets (`--ip-frames raw`): beside Ethernet ones, or with none of those. Absent = never. */
  readonly takesRawIp?: 'beside-ethernet' | 'alone'
  /** How a person mends it when the target did not take all frames. Absent = it is a file's matter: room. */
  whenUnwritten?(options: Options): string
  /** What its files are called; absent or undefined = it makes none. */
  names?(options: Options): SinkNames | undefined
  /** Where it makes files and folders while it runs, now. Absent = nowhere. */
  folders?(options: Options): readonly string[]
  /** Bytes of the slab that each lane of a sink with this queue needs. */
  slabBytes(queue: number): number
  /** For `mirror-collector check`: tries what open() needs, and leaves nothing behind. Absent = there is nothing to look at. */
  check?(options: Options, context: CheckContext): Promise<readonly Finding[]>
  /** Main thread. Throws Failure when the target cannot be had. */
  open(options: Options, context: SinkContext): Promise<OpenSink>
}
