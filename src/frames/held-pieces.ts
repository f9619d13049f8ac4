import { FrameBatch } from './frame-batch.ts'

/** What hears of the pieces that a reassembler puts together, by the slot that their datagram has meanwhile. */
export interface PieceKeeper {
  /** The piece that is being added belongs to `slot`. */
  keep(slot: number): void
  /** The slot's datagram is whole. */
  completed(slot: number): void
  /** The slot's datagram will never be whole; `pieces` of it came. */
  gaveUp(slot: number, pieces: number): void
}

/** Where packets of datagrams go that were never whole. */
export interface LostPieces {
  /** Takes a packet as it came; its bytes are valid during the call. */
  add(batch: FrameBatch, row: number): void
  /** Packets that were forgotten before it was known that they would be wanted. */
  forgotten(packets: number): void
}

/** As many bytes as all datagrams of 64 KiB that may wait need, twice over, as those that are put together take room, too. */
const BYTES = 8 * 1024 * 1024
const PIECES = 4096
const NONE = -1

/**
 * Keeps outer fragments as they came for as long as their datagram waits: what comes of them is known only later. A ring
 * in a fixed part of the worker's memory; when it is full, the oldest packets are forgotten.
 */
export class HeldPieces implements PieceKeeper {
  static readonly bytes: number = BYTES

  readonly #lost: LostPieces
  readonly #byteOffset: number
  /** A piece's row is its number modulo PIECES. */
  readonly #kept: FrameBatch
  /** By row: where the piece begins if the ring never came round, and the number of the piece before it of its datagram. */
  readonly #begin: Float64Array = new Float64Array(PIECES)
  readonly #previous: Float64Array = new Float64Array(PIECES)
  /** By slot: the number of the piece that came last. */
  readonly #last: Float64Array
  readonly #order: Uint32Array = new Uint32Array(PIECES)
  #oldest = 0
  #next = 0
  #end = 0
  #batch: FrameBatch | undefined
  #row = 0

  /** `memory`: what all batches of the worker lie in; from `byteOffset` on `bytes` of it are for the packets. */
  constructor(memory: ArrayBufferLike, byteOffset: number, slots: number, lost: LostPieces) {
    this.#byteOffset = byteOffset
    this.#lost = lost
    this.#kept = new FrameBatch(memory, PIECES)
    this.#last = new Float64Array(slots).fill(NONE)
  }

  /** Which packet the piece came in that is added next. */
  expect(batch: FrameBatch, row: number): void {
    this.#batch = batch
    this.#row = row
  }

  keep(slot: number): void {
    const from = this.#batch!
    const row = this.#row
    const captured = from.captured[row]!
    const place = this.#reserve(captured)
    const kept = this.#kept
    kept.offset[place] = this.#byteOffset + (this.#begin[place]! % BYTES)
    kept.captured[place] = captured
    kept.wireLength[place] = from.wireLength[row]!
    kept.seconds[place] = from.seconds[row]!
    kept.nanoseconds[place] = from.nanoseconds[row]!
    kept.linkType[place] = from.linkType[row]!
    kept.bytes.copyWithin(kept.offset[place]!, from.offset[row]!, from.offset[row]! + captured)
    this.#previous[place] = this.#last[slot]!
    this.#last[slot] = this.#next++
  }

  completed(slot: number): void {
    this.#last[slot] = NONE
  }

  gaveUp(slot: number, pieces: number): void {
    let found = 0
    for (let piece = this.#last[slot]!; piece >= this.#oldest; piece = this.#previous[piece % PIECES]!) {
      this.#order[found++] = piece % PIECES
    }
    this.#last[slot] = NONE
    for (let i = found - 1; i >= 0; i--) this.#lost.add(this.#kept, this.#order[i]!)
    if (found < pieces) this.#lost.forgotten(pieces - found)
  }

  /** The row of the next piece, of which no byte lies behind the ring's end. */
  #reserve(bytes: number): number {
    const untilEnd = BYTES - (this.#end % BYTES)
    const begin = bytes > untilEnd ? this.#end + untilEnd : this.#end
    this.#end = begin + bytes
    while (
      this.#oldest < this.#next &&
      (this.#next - this.#oldest === PIECES || this.#begin[this.#oldest % PIECES]! + BYTES < this.#end)
    ) {
      this.#oldest++
    }
    const place = this.#next % PIECES
    this.#begin[place] = begin
    return place
  }
}
