import type { Piece } from '../../src/frames/reassembler.ts'
import { Reassembler } from '../../src/frames/reassembler.ts'

/** Where pieces lie before they are added; the reassembler's slots are behind it. */
const WORK_BYTES = 1 << 17
const ADDRESSES_AT = 8
const PAYLOAD_AT = 64

/** Of the piece of a datagram what a test wants to be different. */
export interface PieceSettings {
  readonly id?: number
  readonly protocol?: number
  readonly offset?: number
  readonly more?: boolean
  readonly source?: number
  readonly addressBytes?: number
  /** Bytes of the payload that the capture has; else all. */
  readonly captured?: number
  readonly seconds?: number
}

/** A reassembler in memory of its own, as the pipeline has it in the slab. */
export class Bench {
  readonly bytes: Uint8Array
  readonly reassembler: Reassembler

  constructor(slots: number) {
    this.bytes = new Uint8Array(new SharedArrayBuffer(WORK_BYTES + Reassembler.bytesFor(slots))).fill(0xa5)
    this.reassembler = new Reassembler(this.bytes, WORK_BYTES, slots)
  }

  /** Adds a piece whose bytes are gone right afterwards, as those of a batch are. */
  add(payload: Uint8Array, settings: PieceSettings = {}): number {
    const addressBytes = settings.addressBytes ?? 4
    const captured = settings.captured ?? payload.length
    this.bytes.fill(settings.source ?? 1, ADDRESSES_AT, ADDRESSES_AT + 2 * addressBytes)
    this.bytes.set(payload.subarray(0, captured), PAYLOAD_AT)
    const piece: Piece = {
      sourceAt: ADDRESSES_AT,
      addressBytes,
      protocol: settings.protocol ?? 17,
      fragmentId: settings.id ?? 1,
      fragmentOffset: settings.offset ?? 0,
      moreFragments: settings.more ?? false,
    }
    const result = this.reassembler.add(piece, PAYLOAD_AT, captured, payload.length, settings.seconds ?? 1000)
    this.bytes.fill(0xa5, 0, PAYLOAD_AT + captured)
    return result
  }

  /** The bytes of the datagram that the last piece completed. */
  datagram(): Uint8Array {
    const { start, captured } = this.reassembler
    return this.bytes.slice(start, start + captured)
  }

  /** Pieces that were given up, that live on in others, and that wait. */
  counts(): { incomplete: number; reassembled: number; held: number } {
    const { incomplete, reassembled, held } = this.reassembler
    return { incomplete, reassembled, held }
  }
}

/** Bytes that differ from their neighbours and from those of another datagram. */
export function numbered(length: number, datagram = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) + datagram * 31) & 0xff)
}
