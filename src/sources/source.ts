import type { FrameBatch } from '../frames/frame-batch.ts'
import type { Loops } from '../frames/loops.ts'
import type { PeerTable } from '../frames/peer-table.ts'
import type { KafkaListen } from '../kafka/listen.ts'

/** Where frames come from. Belongs to one worker thread, from open to close. */
export interface Source {
  /** For people: what is listened on or read, one entry each. */
  readonly description: readonly string[]
  /** What a user should know before the first frame: a receive buffer that is smaller than asked for, say. */
  readonly warnings: readonly string[]
  /**
   * Fills the batch from its first row, at most `maxRows`, sets `count` and returns it; 0 = nothing came in time;
   * END_OF_SOURCE = nothing will come any more. Never blocks longer than `milliseconds`.
   */
  receive(batch: FrameBatch, maxRows: number, milliseconds: number): number | Promise<number>
  /** Packets that the kernel dropped before us, since open; with sockets of a legacy, since these were opened. */
  kernelDrops(): number
  /** Of a ring: how often it was full since it was opened, and how often an interface it listens on went away or down. */
  freezes?(): number
  interfaceLosses?(): number
  /** Of a ring: it has room for as much again as it holds, so that packets may wait in it. */
  hasRoom?(): boolean
  /** What comes finds room while the worker writes a file itself; absent = it never may. */
  mayWrite?(): boolean
  /** Whether packets may wait for others by tens of milliseconds, as nobody watches what comes out. Absent = they do not wait. */
  letWait?(isLong: boolean): void
  /** Of a file: bytes of it that have been read. */
  position?(): number
  /** A source whose place is kept elsewhere: what was received so far. */
  mark?(): unknown
  /** Every sink has written, or counted as lost, what `mark` stands for: the place may be kept. */
  settled?(mark: unknown): Promise<void>
  /** What the other workers' sources need to join this one, the first; absent = nothing. */
  readonly group?: unknown
  /** What a successor needs to go on in its place, should the worker die: open sockets, say. Absent = nothing outlives it. */
  readonly legacy?: unknown
  /** After the end: what was wrong with the input, if anything. */
  readonly problem?: string | undefined
  close(): void | Promise<void>
}

export const END_OF_SOURCE = -1

/** One `--listen`. */
export interface Listener {
  /** Index into the registry of encapsulations. */
  readonly encapsulation: number
  /** An IPv4 or IPv6 literal; undefined = both families, any address. */
  readonly host: string | undefined
  /** UDP port; of an encapsulation that is an IP protocol, that protocol's number. */
  readonly port: number
}

export type Engine = 'udp' | 'ring' | 'dgram' | 'file' | 'kafka'

/** What a source is made from. Crosses from the main thread to the worker. */
export interface SourcePlan {
  readonly engine: Engine
  readonly listeners: readonly Listener[]
  /** Receive buffer of a socket or a ring, bytes. */
  readonly buffer: number
  /** The interface that a ring takes packets from; undefined = those that hold the listeners' addresses. */
  readonly interface?: string | undefined
  /** A capture file, or `-`. */
  readonly file?: string | undefined
  readonly kafka?: KafkaListen | undefined
  /** Absent = there is one worker. */
  readonly share?: SourceShare | undefined
  /** Of the worker whose place this one takes. */
  readonly legacy?: unknown
}

/** Which part of the work this source has: the kernel gives each flow to one of `workers` sources. */
export interface SourceShare {
  /** From 0 on. */
  readonly worker: number
  readonly workers: number
  /** Of worker 0's source; undefined for that one. */
  readonly group: unknown
}

/** What a source gets from the worker that owns it. */
export interface SourceContext {
  /** The worker's slab; the source's part of it is [byteOffset, byteOffset + byteLength). */
  readonly memory: ArrayBufferLike
  readonly byteOffset: number
  readonly byteLength: number
  /** Absent where WebAssembly cannot have the memory. */
  readonly loops?: Loops | undefined
  /** Absent where nothing depends on who sends: the `peer` column is then left alone. */
  readonly peers: PeerTable | undefined
  /** Tells the user what happened while frames are received; a warning, unless it is good news. Not for every frame. */
  say(text: string, level?: NoticeLevel): void
}

export type NoticeLevel = 'info' | 'warn'

/** A row of the registry of sources. */
export interface SourceType {
  readonly engine: Engine
  /** Packets come with their outer headers, which the pipeline has to take off, or already without. */
  readonly outerHeaders: boolean
  /** Frames come as a collector delivered them, without a tunnel; absent = in one. */
  readonly isDecapsulated?: boolean
  /** Nothing is lost while sinks hold it up; absent = it is. */
  readonly canWait?: boolean
  /** Whether several workers can share what comes for a listener; absent = there is one worker. */
  canShare?(listener: Listener): boolean
  /** Rows of a batch. */
  readonly batchRows: number
  /** What is still taken after a request to stop: nothing, all that waits, or what had arrived by then as the time stamps tell. */
  readonly drain: 'nothing' | 'waiting' | 'arrived'
  /** Bytes of the slab that the source needs for this plan. */
  slabBytes(plan: SourcePlan): number
  /** How long what has arrived may take to reach receive(), in milliseconds; absent = no time. */
  readonly settleMs?: number
  open(plan: SourcePlan, context: SourceContext): Source | Promise<Source>
}
