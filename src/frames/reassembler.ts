import type { PieceKeeper } from './held-pieces.ts'

/** The largest payload an IP datagram can have (RFC 791: a total length of 16 bits), rounded up. */
const DATAGRAM_BYTES = 65_536
/** Free bytes in front of each datagram: a header may be written there in place. */
const HEADROOM_BYTES = 64
const SLOT_BYTES = DATAGRAM_BYTES + HEADROOM_BYTES
/** Linux's ipfrag_time and ip6frag_time default. */
const TIMEOUT_SECONDS = 30
const KEY_BYTES = 40
/** Pieces are multiples of 8 bytes, all but the last: one bit each says which have come. */
const BLOCK_BYTES = 8
const BITMAP_BYTES = DATAGRAM_BYTES / BLOCK_BYTES / 8

const NOT_WAITING = 0

/** What became of a piece. */
export type PieceResult = number
/** Kept; more are missing. */
export const PIECE_HELD: PieceResult = 0
/** The datagram is whole: `start`, `captured` and `wireLength` tell where. */
export const PIECE_COMPLETED: PieceResult = 1
/** The piece, and with it all of its datagram, cannot be: it overlaps others in part or reaches past the end (RFC 5722). */
export const PIECE_REFUSED: PieceResult = 2

/** One fragment of an outer datagram. */
export interface Piece {
  /** Where the source address starts in `bytes`; the destination follows it. */
  readonly sourceAt: number
  readonly addressBytes: number
  readonly protocol: number
  readonly fragmentId: number
  readonly fragmentOffset: number
  readonly moreFragments: boolean
}

interface Slot {
  readonly key: Uint8Array
  readonly present: Uint8Array
  /** Time of the first piece. */
  since: number
  pieces: number
  bytesPresent: number
  /** Payload bytes in all, known once the last piece is there; else 0. */
  total: number
  /** Offset of the first byte that a capture's snap length cut away. */
  cutAt: number
}

/**
 * Puts outer IP fragments together, in a fixed part of the worker's memory: the oldest datagram gives way when all
 * slots are taken. A completed datagram stays valid until `endBatch()`, so there must be more slots than one batch has rows.
 *
 * `incomplete` counts the pieces that were given up; `reassembled` those that live on in a completed datagram beside
 * the piece that came last. Their sum, the completions and `held` are all the pieces that ever came.
 */
export class Reassembler {
  start = 0
  captured = 0
  wireLength = 0
  reassembled = 0
  incomplete = 0
  /** Pieces that wait for others. */
  held = 0

  readonly #bytes: Uint8Array
  readonly #byteOffset: number
  readonly #keeper: PieceKeeper | undefined
  readonly #slots: readonly Slot[]
  readonly #key: Uint8Array = new Uint8Array(KEY_BYTES)
  /** Of the slots that wait for more pieces the hash of the key, else NOT_WAITING. */
  readonly #hashes: Uint32Array
  readonly #free: number[]
  readonly #completed: number[] = []

  static bytesFor(slots: number): number {
    return slots * SLOT_BYTES
  }

  constructor(bytes: Uint8Array, byteOffset: number, slots: number, keeper?: PieceKeeper) {
    this.#bytes = bytes
    this.#keeper = keeper
    this.#byteOffset = byteOffset
    this.#hashes = new Uint32Array(slots)
    this.#free = Array.from({ length: slots }, (_, i) => i)
    this.#slots = Array.from({ length: slots }, () => ({
      key: new Uint8Array(KEY_BYTES),
      present: new Uint8Array(BITMAP_BYTES),
      since: 0,
      pieces: 0,
      bytesPresent: 0,
      total: 0,
      cutAt: 0,
    }))
  }

  /** Takes the piece whose payload is `wireLength` bytes long, `captured` of them present at `at`, come at `seconds`. */
  add(piece: Piece, at: number, captured: number, wireLength: number, seconds: number): PieceResult {
    this.#writeKey(piece)
    const index = this.#find(seconds)
    const slot = this.#slots[index]!
    slot.pieces++
    this.held++
    this.#keeper?.keep(index)
    if (!this.#place(index, piece, at, Math.min(captured, wireLength), wireLength)) {
      this.#giveUp(index)
      return PIECE_REFUSED
    }
    if (slot.total === 0 || slot.bytesPresent < slot.total) return PIECE_HELD
    this.start = this.#startOf(index)
    this.wireLength = slot.total
    this.captured = Math.min(slot.total, slot.cutAt)
    this.reassembled += slot.pieces - 1
    this.held -= slot.pieces
    slot.pieces = 0
    this.#hashes[index] = NOT_WAITING
    this.#completed.push(index)
    this.#keeper?.completed(index)
    return PIECE_COMPLETED
  }

  /** The sinks are done with the datagrams that were completed: their memory may be used again. */
  endBatch(): void {
    for (let i = 0; i < this.#completed.length; i++) this.#free.push(this.#completed[i]!)
    // Even where it is 0, setting it costs a microsecond.
    if (this.#completed.length > 0) this.#completed.length = 0
  }

  /** No more pieces will come. */
  close(): void {
    for (let i = 0; i < this.#slots.length; i++) if (this.#hashes[i] !== NOT_WAITING) this.#giveUp(i)
  }

  /** False when the piece cannot belong to the datagram. */
  #place(index: number, piece: Piece, at: number, captured: number, wireLength: number): boolean {
    const slot = this.#slots[index]!
    const first = piece.fragmentOffset
    const end = first + wireLength
    if (wireLength === 0 || end > DATAGRAM_BYTES) return false
    if (this.#isDuplicate(slot, piece, end)) return true
    if (piece.moreFragments) {
      // RFC 791 section 3.2: all pieces but the last are whole multiples of 8 bytes.
      if (wireLength % BLOCK_BYTES !== 0 || (slot.total !== 0 && end > slot.total)) return false
    } else {
      if (slot.total !== 0 || this.#reachesPast(slot, end)) return false
      slot.total = end
    }
    if (!claimBlocks(slot.present, first / BLOCK_BYTES, Math.ceil(end / BLOCK_BYTES))) return false
    slot.bytesPresent += wireLength
    if (captured < wireLength) slot.cutAt = Math.min(slot.cutAt, first + captured)
    this.#bytes.copyWithin(this.#startOf(index) + first, at, at + captured)
    return true
  }

  /** A capture taken at two points has every piece twice: what is there stays, as in Linux (ip_frag_queue). */
  #isDuplicate(slot: Slot, piece: Piece, end: number): boolean {
    if (slot.total !== 0 && (piece.moreFragments ? end >= slot.total : end !== slot.total)) return false
    if (slot.total === 0 && !piece.moreFragments) return false
    for (let block = piece.fragmentOffset / BLOCK_BYTES; block < Math.ceil(end / BLOCK_BYTES); block++) {
      if ((slot.present[block >> 3]! & (1 << (block & 7))) === 0) return false
    }
    return true
  }

  #reachesPast(slot: Slot, end: number): boolean {
    for (let block = Math.ceil(end / BLOCK_BYTES); block < DATAGRAM_BYTES / BLOCK_BYTES; block++) {
      if ((slot.present[block >> 3]! & (1 << (block & 7))) !== 0) return true
    }
    return false
  }

  #startOf(index: number): number {
    return this.#byteOffset + index * SLOT_BYTES + HEADROOM_BYTES
  }

  #writeKey(piece: Piece): void {
    const key = this.#key
    key.fill(0)
    for (let i = 0; i < piece.addressBytes * 2; i++) key[i] = this.#bytes[piece.sourceAt + i]!
    key[32] = piece.fragmentId >>> 24
    key[33] = piece.fragmentId >>> 16
    key[34] = piece.fragmentId >>> 8
    key[35] = piece.fragmentId
    key[36] = piece.protocol
    key[37] = piece.addressBytes
  }

  /** The slot of the datagram whose key was written: the one it has, a free one, or the oldest's. */
  #find(seconds: number): number {
    const hash = hashOf(this.#key)
    for (let i = 0; i < this.#hashes.length; i++) {
      if (this.#hashes[i] !== hash || !equalKeys(this.#slots[i]!.key, this.#key)) continue
      if (seconds - this.#slots[i]!.since <= TIMEOUT_SECONDS) return i
      this.#giveUp(i)
    }
    if (this.#free.length === 0) this.#giveUp(this.#oldest())
    const index = this.#free.pop()!
    const slot = this.#slots[index]!
    this.#hashes[index] = hash
    slot.key.set(this.#key)
    slot.present.fill(0)
    slot.since = seconds
    slot.pieces = 0
    slot.bytesPresent = 0
    slot.total = 0
    slot.cutAt = DATAGRAM_BYTES
    return index
  }

  #oldest(): number {
    let oldest = -1
    for (let i = 0; i < this.#slots.length; i++) {
      if (this.#hashes[i] === NOT_WAITING) continue
      if (oldest < 0 || this.#slots[i]!.since < this.#slots[oldest]!.since) oldest = i
    }
    return oldest
  }

  #giveUp(index: number): void {
    this.#keeper?.gaveUp(index, this.#slots[index]!.pieces)
    this.incomplete += this.#slots[index]!.pieces
    this.held -= this.#slots[index]!.pieces
    this.#slots[index]!.pieces = 0
    this.#hashes[index] = NOT_WAITING
    this.#free.push(index)
  }
}

/** FNV-1a, never NOT_WAITING. */
function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < KEY_BYTES; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193)
  return (hash | 1) >>> 0
}

function equalKeys(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < KEY_BYTES; i++) if (a[i] !== b[i]) return false
  return true
}

/** Marks blocks [from, to); false, with nothing promised about the marks, when one was taken already. */
function claimBlocks(present: Uint8Array, from: number, to: number): boolean {
  for (let block = from; block < to; block++) {
    const bit = 1 << (block & 7)
    if ((present[block >> 3]! & bit) !== 0) return false
    present[block >> 3]! |= bit
  }
  return true
}
