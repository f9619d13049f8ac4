import { ColumnRoom } from './column-room.ts'
import { CODE } from './loops-code.ts'

/** What assembly/ exports: numbers, and places in the memory. */
interface LoopExports {
  readonly readBlock: (...numbers: number[]) => number
  readonly takePlain: (...numbers: number[]) => number
  readonly layRecords: (...numbers: number[]) => number
  readonly sum: (column: number, count: number) => number
}

/** TypeScript declares it for browsers only. */
declare const WebAssembly: {
  readonly Module: new (code: Uint8Array) => object
  readonly Instance: new (module: object, imports: { env: { memory: object } }) => { readonly exports: LoopExports }
}

/** The columns that a source fills for every packet; see FrameBatch. */
interface SourceColumns {
  readonly offset: Uint32Array
  readonly captured: Uint32Array
  readonly wireLength: Uint32Array
  readonly seconds: Uint32Array
  readonly nanoseconds: Uint32Array
}

/** And what a row is known by on its way. */
interface BatchColumns extends SourceColumns {
  readonly count: number
  readonly tunnelId: Uint32Array
  readonly encapsulation: Uint8Array
  readonly linkType: Uint16Array
  readonly peer: Uint16Array
}

/** By what takePlain() judges; all arrays lie in the room. */
export interface PlainTables {
  /** The encapsulation that VXLAN is. */
  readonly vxlan: number
  /** UDP destination port -> encapsulation; undefined = the outer headers are gone. */
  readonly byPort: Int16Array | undefined
  /** IPv4 senders of late and their numbers, as PeerTable keeps them; undefined = it does not matter who sends. */
  readonly senders: Uint32Array | undefined
  readonly senderPeers: Uint16Array | undefined
  /** A bit for each VNI; undefined = all are wanted. */
  readonly wanted: Uint8Array | undefined
  readonly snapLength: number
}

/** What a loop leaves behind beside the number that it returns. */
const RESULT_WORDS = 6
/** Of readBlock(); in the two behind it is what was touched ahead, for the next call. */
const AT = 0
/** Of layRecords(). */
const RECORDS_END = 3
const FIRST_SECOND = 4
const LAST_SECOND = 5

/**
 * The loops over every frame that take the most time, in AssemblyScript, which is TypeScript made for WebAssembly: see assembly/. V8 (11.3)
 * looks up each typed array anew in every turn of a JavaScript loop, for seven instructions a time; a WebAssembly has one memory, whose
 * place it knows. From the ring to a file's queue a frame of 64 bytes takes 30 to 44 ns, where JavaScript takes 51 to 96 (in turn on one
 * machine, from the cache and from memory).
 *
 * There is JavaScript that does the same, for memory that WebAssembly cannot have.
 */
export class Loops {
  /** Where all arrays lie that the loops are given. */
  readonly room: ColumnRoom
  readonly #loops: LoopExports
  readonly #result: Uint32Array

  /** Bytes of what they leave behind in their room. */
  static readonly roomBytes: number = ColumnRoom.bytesFor(RESULT_WORDS, Uint32Array.BYTES_PER_ELEMENT)

  /** `memory`: a WebAssembly.Memory. `room`: a part of it. */
  constructor(memory: object, room: ColumnRoom) {
    this.room = room
    this.#result = room.uint32(RESULT_WORDS)
    const module = new WebAssembly.Module(Buffer.from(CODE, 'base64'))
    this.#loops = new WebAssembly.Instance(module, { env: { memory } }).exports
  }

  /**
   * Reads packets of a ring's block [block, end) into rows from 0 on, as PlainBlockReader does. The first one's header is at `at`, which is
   * in the block or its end. Returns how many of them came with a VLAN tag: their rows are in `tagged`.
   */
  readBlock(columns: SourceColumns, rows: number, at: number, block: number, end: number, tagged: Uint16Array): number {
    this.#result[AT] = at
    return this.#loops.readBlock(
      this.#result.byteOffset,
      block,
      end,
      rows,
      columns.offset.byteOffset,
      columns.captured.byteOffset,
      columns.wireLength.byteOffset,
      columns.seconds.byteOffset,
      columns.nanoseconds.byteOffset,
      tagged.byteOffset,
    )
  }

  /** What FastPath says of take(), but for the columns that are alike in all rows. Returns the first row that is for the steps. */
  takePlain(batch: BatchColumns, from: number, to: number, tables: PlainTables): number {
    return this.#loops.takePlain(
      from,
      to,
      batch.count,
      batch.offset.byteOffset,
      batch.captured.byteOffset,
      batch.wireLength.byteOffset,
      batch.tunnelId.byteOffset,
      batch.encapsulation.byteOffset,
      batch.linkType.byteOffset,
      batch.peer.byteOffset,
      tables.vxlan,
      tables.byPort?.byteOffset ?? 0,
      tables.senders?.byteOffset ?? 0,
      tables.senderPeers?.byteOffset ?? 0,
      tables.wanted?.byteOffset ?? 0,
      tables.snapLength,
    )
  }

  /**
   * Lays the frames that `rows` names from `from` to `count` out as pcap's records, side by side from place `start` on: the first, and
   * those behind it that end no later than `limit`. `unit`: nanoseconds in that of a record's fraction. Returns the first that was left.
   */
  layRecords(
    columns: SourceColumns,
    rows: Uint16Array,
    from: number,
    count: number,
    unit: number,
    start: number,
    limit: number,
  ): number {
    return this.#loops.layRecords(
      rows.byteOffset,
      from,
      count,
      columns.offset.byteOffset,
      columns.captured.byteOffset,
      columns.wireLength.byteOffset,
      columns.seconds.byteOffset,
      columns.nanoseconds.byteOffset,
      unit,
      start,
      limit,
      this.#result.byteOffset + RECORDS_END * Uint32Array.BYTES_PER_ELEMENT,
    )
  }

  /** After readBlock(), the place of the next header. */
  get at(): number {
    return this.#result[AT]!
  }

  /** After layRecords(), where the last record ends. */
  get recordsEnd(): number {
    return this.#result[RECORDS_END]!
  }

  /** After layRecords(), of the frames there. */
  get firstSecond(): number {
    return this.#result[FIRST_SECOND]!
  }

  get lastSecond(): number {
    return this.#result[LAST_SECOND]!
  }

  /** Of the column's first `count` numbers. */
  sum(column: Uint32Array, count: number): number {
    return this.#loops.sum(column.byteOffset, count)
  }
}
