import type { BlockReader } from '../../dgram-extended/block-reader.ts'
import type { DatagramColumns } from '../../dgram-extended/datagram-columns.ts'
import type { Loops } from '../../frames/loops.ts'

/** What PlainBlockReader does, by a loop in WebAssembly; the columns must lie in its memory. */
export class LoopBlockReader implements BlockReader {
  tagged = 0
  readonly taggedRows: Uint16Array
  readonly #loops: Loops

  /** `rows`: the most that one call is asked for. */
  constructor(loops: Loops, rows: number) {
    this.#loops = loops
    this.taggedRows = loops.room.uint16(rows)
  }

  read(columns: DatagramColumns, rows: number, at: number, block: number, end: number): number {
    this.tagged = this.#loops.readBlock(columns, rows, at, block, end, this.taggedRows)
    return this.#loops.at
  }
}
