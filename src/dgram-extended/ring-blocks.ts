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
 * The kernel has just written the packets on another processor, and each first touch of a cache line waits for it to come
 * from there. Touched this far ahead, one line's way overlaps with the work on others: without output 0.24 us a frame became 0.20,
 * medians of three in turn that lay far apart (0.17 to 0.30).
 */
const AHEAD_BYTES = 4096
const CACHE_LINE_BYTES = 64

/** What is known of a reader's progress, in memory that outlives it: its block, and the packets of it that it has handed out. */
const BLOCK = 0
const HANDED_OUT = 1
/** What the kernel has told of the ring since it was opened; for its owner. */
export const PROGRESS_DROPS = 2
export const PROGRESS_FREEZES = 3
export const RING_PROGRESS_WORDS = 4

/**
 * Reads the blocks of a TPACKET_V3 ring in place. Each is the kernel's or ours, as its status word tells: what a call
 * brought lies in a block of ours, which the next call gives back when it has been read to its end.
 *
 * Lengths and offsets are checked against the block before they are believed.
 */
export class RingBlocks {
  /** For another reader of the same ring, should this one's thread die: see RING_PROGRESS_WORDS. */
  readonly #progress: Float64Array
  /** Packets of the next block that a reader before this one has handed out. */
  #passed: number
  /** How many rows of the last call came with a VLAN tag, which the kernel has taken off; a second one may still be there. */
  tagged = 0
  /** Which: the first `tagged` of these. */
  readonly taggedRows: Uint16Array
  readonly #words: Uint32Array
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
  /** What lies before this has been touched; and what was read there, so that the compiler leaves the reading in. */
  #touched = 0
  touchedWords = 0

  /**
   * The ring is memory[byteOffset, byteOffset + blocks * blockBytes). `rows`: the most that one call returns. `progress`: of the
   * reader that is gone, where this one goes on in its place.
   */
  constructor(
    memory: ArrayBufferLike,
    byteOffset: number,
    blocks: number,
    blockBytes: number,
    rows: number,
    progress: Float64Array = new Float64Array(RING_PROGRESS_WORDS),
  ) {
    const bytes = blocks * blockBytes
    this.#progress = progress
    // As integers: what comes from doubles would make doubles of all that is reckoned with it.
    this.#block = progress[BLOCK]! | 0
    this.#passed = progress[HANDED_OUT]! | 0
    this.taggedRows = new Uint16Array(rows)
    this.#words = new Uint32Array(memory, byteOffset, bytes / 4)
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
    this.#read(columns, rows)
    this.#left -= rows
    this.#progress[HANDED_OUT]! += rows
    return rows
  }

  /** The kernel fills blocks in turn: the one half a ring ahead is its own until half of the ring is full. */
  get isHalfFree(): boolean {
    const ahead = (this.#block + (this.#blocks >>> 1)) % this.#blocks
    return (Atomics.load(this.#statuses, ((ahead * this.#blockBytes) >>> 2) + BLOCK_STATUS) & TP_STATUS_USER) === 0
  }

  #take(): boolean {
    const block = (this.#block * this.#blockBytes) >>> 2
    if ((Atomics.load(this.#statuses, block + BLOCK_STATUS) & TP_STATUS_USER) === 0) return false
    this.#taken = true
    // More would not fit into the block.
    this.#left = Math.min(this.#words[block + BLOCK_PACKETS]!, Math.floor(this.#blockBytes / FRAME_HEADER_BYTES))
    this.#at = this.#block * this.#blockBytes + this.#words[block + BLOCK_FIRST]!
    this.#touched = this.#at
    if (this.#passed > 0) this.#passOver()
    if (this.#left > 0) return true
    this.#release()
    return false
  }

  #release(): void {
    Atomics.store(this.#statuses, ((this.#block * this.#blockBytes) >>> 2) + BLOCK_STATUS, TP_STATUS_KERNEL)
    this.#block = this.#block + 1 === this.#blocks ? 0 : this.#block + 1
    this.#taken = false
    this.#progress[BLOCK] = this.#block
    this.#progress[HANDED_OUT] = 0
  }

  #passOver(): void {
    const end = (this.#block + 1) * this.#blockBytes
    this.#left = Math.max(0, this.#left - this.#passed)
    for (; this.#passed > 0; this.#passed--) {
      const isSound = this.#at + FRAME_HEADER_BYTES <= end && (this.#at & 3) === 0
      const next = isSound ? this.#words[(this.#at >>> 2) + FRAME_NEXT]! : 0
      this.#at = next === 0 || this.#at + next > end ? end : this.#at + next
    }
  }

  /** Fields in local variables: the compiler then looks at each once a call, not once a packet. */
  #read(columns: DatagramColumns, rows: number): void {
    const { offset, captured, wireLength, seconds, nanoseconds } = columns
    const words = this.#words
    const base = this.#byteOffset
    const end = (this.#block + 1) * this.#blockBytes
    let at = this.#at
    // Math.max would make doubles of both.
    let touched = this.#touched > at ? this.#touched : at
    let seen = 0
    for (let row = 0; row < rows; row++) {
      const soon = at + AHEAD_BYTES < end ? at + AHEAD_BYTES : end
      for (; touched < soon; touched += CACHE_LINE_BYTES) seen |= words[touched >>> 2]!
      const header = at >>> 2
      if (at + FRAME_HEADER_BYTES > end || (at & 3) !== 0) {
        this.#refuse(columns, row)
        continue
      }
      const start = at + (words[header + FRAME_NETWORK]! >>> 16)
      const present = words[header + FRAME_CAPTURED]!
      const length = words[header + FRAME_LENGTH]!
      seconds[row] = words[header + FRAME_SECONDS]!
      nanoseconds[row] = words[header + FRAME_NANOSECONDS]!
      if ((words[header + FRAME_STATUS]! & TP_STATUS_VLAN_VALID) !== 0) this.taggedRows[this.tagged++] = row
      offset[row] = base + start
      captured[row] = present
      wireLength[row] = length
      if (start + present > end || present > length || start < at + FRAME_HEADER_BYTES) this.#refuse(columns, row)
      const next = words[header + FRAME_NEXT]!
      // The last packet of a block has 0. Where another should follow, its header cannot be found: no place beyond the block.
      at = next === 0 || at + next > end ? end : at + next
    }
    this.#at = at
    this.#touched = touched
    this.touchedWords = seen
  }

  /** Nothing can be believed but that a packet was there. */
  #refuse(columns: DatagramColumns, row: number): void {
    columns.offset[row] = this.#byteOffset + this.#block * this.#blockBytes
    columns.captured[row] = 0
    columns.wireLength[row] = 0
  }
}
