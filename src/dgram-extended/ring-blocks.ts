import type { DatagramColumns } from './datagram-columns.ts'
import {
  BLOCK_FIRST,
  BLOCK_PACKETS,
  BLOCK_STATUS,
  FRAME_CAPTURED,
  FRAME_HEADER_BYTES,
  FRAME_LENGTH,
  FRAME_NANOSECONDS,
  FRAME_NETWORK,
  FRAME_NEXT,
  FRAME_SECONDS,
  FRAME_STATUS,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
  TP_STATUS_VLAN_VALID,
} from './packet-layout.ts'

/**
 * Reads the blocks of a TPACKET_V3 ring in place. Each is the kernel's or ours, as its status word tells: what a call
 * brought lies in a block of ours, which the next call gives back when it has been read to its end.
 *
 * Lengths and offsets are checked against the block before they are believed.
 */
export class RingBlocks {
  /** How many rows of the last call came with a VLAN tag, which the kernel has taken off; a second one may still be there. */
  tagged = 0
  /** Which: the first `tagged` of these. */
  readonly taggedRows: Uint16Array
  readonly #words: Uint32Array
  readonly #halves: Uint16Array
  /** The same words, for Atomics. */
  readonly #statuses: Int32Array
  readonly #byteOffset: number
  readonly #blockBytes: number
  readonly #blocks: number
  #block = 0
  /** Where in the ring the next packet's header is. */
  #at = 0
  /** Packets of the block that have not been handed out. */
  #left = 0
  /** The block is ours. */
  #taken = false

  /** The ring is memory[byteOffset, byteOffset + blocks * blockBytes). `rows`: the most that one call returns. */
  constructor(memory: ArrayBufferLike, byteOffset: number, blocks: number, blockBytes: number, rows: number) {
    const bytes = blocks * blockBytes
    this.taggedRows = new Uint16Array(rows)
    this.#words = new Uint32Array(memory, byteOffset, bytes / 4)
    this.#halves = new Uint16Array(memory, byteOffset, bytes / 2)
    this.#statuses = new Int32Array(memory, byteOffset, bytes / 4)
    this.#byteOffset = byteOffset
    this.#blockBytes = blockBytes
    this.#blocks = blocks
  }

  /**
   * Fills rows from 0 on with packets of one block. A packet whose lengths cannot be gets a row with nothing captured.
   * @returns how many; 0 when the kernel has handed none over
   */
  receive(columns: DatagramColumns, maxRows: number): number {
    if (this.#taken && this.#left === 0) this.#release()
    if (!this.#taken && !this.#take()) return 0
    const rows = Math.min(maxRows, this.#left, this.taggedRows.length, columns.offset.length)
    this.tagged = 0
    for (let row = 0; row < rows; row++) this.#read(columns, row)
    this.#left -= rows
    return rows
  }

  #take(): boolean {
    const block = (this.#block * this.#blockBytes) >>> 2
    if ((Atomics.load(this.#statuses, block + BLOCK_STATUS) & TP_STATUS_USER) === 0) return false
    this.#taken = true
    // More would not fit into the block.
    this.#left = Math.min(this.#words[block + BLOCK_PACKETS]!, Math.floor(this.#blockBytes / FRAME_HEADER_BYTES))
    this.#at = this.#block * this.#blockBytes + this.#words[block + BLOCK_FIRST]!
    if (this.#left > 0) return true
    this.#release()
    return false
  }

  #release(): void {
    Atomics.store(this.#statuses, ((this.#block * this.#blockBytes) >>> 2) + BLOCK_STATUS, TP_STATUS_KERNEL)
    this.#block = this.#block + 1 === this.#blocks ? 0 : this.#block + 1
    this.#taken = false
  }

  #read(columns: DatagramColumns, row: number): void {
    const at = this.#at
    const end = (this.#block + 1) * this.#blockBytes
    if (at + FRAME_HEADER_BYTES > end || (at & 3) !== 0) {
      this.#refuse(columns, row)
      return
    }
    const words = this.#words
    const header = at >>> 2
    const start = at + this.#halves[(at >>> 1) + FRAME_NETWORK]!
    const captured = words[header + FRAME_CAPTURED]!
    const length = words[header + FRAME_LENGTH]!
    columns.offset[row] = this.#byteOffset + start
    columns.captured[row] = captured
    columns.wireLength[row] = length
    columns.seconds[row] = words[header + FRAME_SECONDS]!
    columns.nanoseconds[row] = words[header + FRAME_NANOSECONDS]!
    if ((words[header + FRAME_STATUS]! & TP_STATUS_VLAN_VALID) !== 0) this.taggedRows[this.tagged++] = row
    if (start + captured > end || captured > length || start < at + FRAME_HEADER_BYTES) this.#refuse(columns, row)
    const next = words[header + FRAME_NEXT]!
    // The last packet of a block has 0. Where another should follow, its header cannot be found: no place beyond the block.
    this.#at = next === 0 ? end : Math.min(at + next, end)
  }

  /** Nothing can be believed but that a packet was there. */
  #refuse(columns: DatagramColumns, row: number): void {
    columns.offset[row] = this.#byteOffset + this.#block * this.#blockBytes
    columns.captured[row] = 0
    columns.wireLength[row] = 0
  }
}
