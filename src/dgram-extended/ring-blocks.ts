import type { BlockReader } from './block-reader.ts'
import type { DatagramColumns } from './datagram-columns.ts'
import {
  BLOCK_FIRST,
  BLOCK_PACKETS,
  BLOCK_STATUS,
  FRAME_HEADER_BYTES,
  FRAME_NEXT,
  TP_STATUS_KERNEL,
  TP_STATUS_USER,
} from './packet-layout.ts'

/** What is known of a reader's progress, in memory that outlives it: its block, and the packets of it that it has handed out. */
const BLOCK = 0
const HANDED_OUT = 1
/** What the kernel has told of the ring since it was opened; for its owner. */
export const PROGRESS_DROPS = 2
export const PROGRESS_FREEZES = 3
export const RING_PROGRESS_WORDS = 4

/**
 * The blocks of a TPACKET_V3 ring, read in place. Each is the kernel's or ours, as its status word tells: what a call
 * brought lies in a block of ours, which the next call gives back when it has been read to its end.
 */
export class RingBlocks {
  /** For another reader of the same ring, should this one's thread die: see RING_PROGRESS_WORDS. */
  readonly #progress: Float64Array
  readonly #reader: BlockReader
  /** Packets of the next block that a reader before this one has handed out. */
  #passed: number
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

  /**
   * The ring is memory[byteOffset, byteOffset + blocks * blockBytes). `progress`: of the reader that is gone, where this one goes on in
   * its place.
   */
  constructor(
    memory: ArrayBufferLike,
    byteOffset: number,
    blocks: number,
    blockBytes: number,
    reader: BlockReader,
    progress: Float64Array = new Float64Array(RING_PROGRESS_WORDS),
  ) {
    const bytes = blocks * blockBytes
    this.#progress = progress
    this.#reader = reader
    // As integers: what comes from doubles would make doubles of all that is reckoned with it.
    this.#block = progress[BLOCK]! | 0
    this.#passed = progress[HANDED_OUT]! | 0
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
    const rows = Math.min(maxRows, this.#left, this.#reader.taggedRows.length, columns.offset.length)
    const block = this.#byteOffset + this.#block * this.#blockBytes
    const at = this.#byteOffset + this.#at
    this.#at = this.#reader.read(columns, rows, at, block, block + this.#blockBytes) - this.#byteOffset
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
    this.#at = this.#block * this.#blockBytes + Math.min(this.#words[block + BLOCK_FIRST]!, this.#blockBytes)
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
}
