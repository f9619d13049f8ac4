import type { FrameBatch } from '../../frames/frame-batch.ts'
import { PEER_OTHER } from '../../frames/peer-table.ts'
import { type FetchedBatch, unpackRecords } from '../../kafka/fetched-batch.ts'
import { TIME_KEY_BYTES } from '../../kafka/frame-headers.ts'
import { RecordCursor } from '../../kafka/record-cursor.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, IS_ETHERNET } from '../../wire/ether-type.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../wire/link-type.ts'
import type { SourceContext } from '../source.ts'
import { FrameHeaders } from './frame-headers.ts'
import { isPcapng, type PcapngColumns, PcapngRecord } from './pcapng-record.ts'
import { HEADROOM_BYTES, RecordWindow } from './record-window.ts'

const LARGEST_UINT32 = 0xffff_ffff

/** Fills the rows of batches with the frames of records, by index: nothing is made for a frame. */
export class RecordUnpacker implements PcapngColumns {
  readonly #window: RecordWindow
  readonly #headers: FrameHeaders
  readonly #hasPeers: boolean
  #batch!: FrameBatch
  #maxRows = 0
  /** Behind the last frame of this batch. */
  #frameEnd = 0
  #cursor: RecordCursor | undefined
  /** The record at the cursor waits for the next batch. */
  #isWaiting = false
  /** A capture file that has more frames than the batch had rows for. */
  #open: PcapngRecord | undefined

  constructor(context: SourceContext) {
    this.#window = new RecordWindow(new Uint8Array(context.memory), context.byteOffset, context.byteLength)
    this.#headers = new FrameHeaders(context.peers)
    this.#hasPeers = context.peers !== undefined
  }

  /** The frames of the batch before are not needed any more. */
  begin(batch: FrameBatch, maxRows: number): void {
    this.#batch = batch
    this.#maxRows = maxRows
    this.#frameEnd = 0
    this.#window.begin()
  }

  get hasRoom(): boolean {
    return this.#batch.count < this.#maxRows
  }

  /** Begins with the records of a batch. @throws Error where they cannot be read */
  open(fetched: FetchedBatch): void {
    this.#cursor = new RecordCursor(unpackRecords(fetched))
    this.#window.source = this.#cursor.bytes
    this.#isWaiting = false
    this.#open = undefined
  }

  /** Lets go of records that are not its any more. */
  abandon(): void {
    this.#cursor = undefined
  }

  get isOpen(): boolean {
    return this.#cursor !== undefined
  }

  /** Takes records, those before offset `from` left out, until the batch is full. The offset behind the last one that was taken whole; undefined: none was. */
  take(from: number): number | undefined {
    const cursor = this.#cursor!
    let taken: number | undefined
    while (this.#isWaiting || cursor.next()) {
      if (cursor.offset >= from && !this.#takeRecord(cursor)) {
        this.#isWaiting = true
        return taken
      }
      this.#isWaiting = false
      taken = cursor.offset + 1
    }
    // What follows cannot be found: one empty frame stands for it in the account.
    if (!cursor.isSound && !this.addNothing()) return taken
    this.#cursor = undefined
    return taken
  }

  /** Adds a row; false when there is no room for it now. What is no frame becomes an empty one, which the pipeline counts. */
  add(
    from: number,
    captured: number,
    wireLength: number,
    seconds: number,
    nanoseconds: number,
    encapsulation: number,
    tunnelId: number,
    linkType: number,
  ): boolean {
    const batch = this.#batch
    const row = batch.count
    if (row >= this.#maxRows) return false
    const kept = this.#window.canHold(captured) ? captured : 0
    const at = this.#window.place(from, kept)
    const isIp = linkType === LINKTYPE_RAW
    // Its header would be written over the end of the frame before.
    if (at < 0 || (isIp && at < this.#frameEnd + HEADROOM_BYTES)) return false
    batch.offset[row] = at
    batch.captured[row] = kept
    batch.wireLength[row] = kept === captured ? Math.max(wireLength, captured) : 0
    batch.seconds[row] = seconds
    batch.nanoseconds[row] = nanoseconds
    batch.tunnelId[row] = tunnelId
    batch.encapsulation[row] = encapsulation
    batch.etherType[row] = isIp ? ipEtherType(batch.bytes[at]!) : IS_ETHERNET
    batch.linkType[row] = LINKTYPE_ETHERNET
    batch.peer[row] = PEER_OTHER
    batch.count = row + 1
    this.#frameEnd = at + kept
    return true
  }

  /** False when the record, or the rest of it, has to wait for the next batch. */
  #takeRecord(cursor: RecordCursor): boolean {
    if (this.#open === undefined) {
      // A record that waited has been read before, and its cursor stands behind its headers.
      if (!this.#isWaiting && !this.#headers.read(cursor)) return true
      const { valueAt, valueLength } = cursor
      if (this.#headers.areOurs || !isPcapng(cursor.bytes, valueAt, valueLength)) return this.#takeFrame(cursor)
      this.#open = new PcapngRecord(cursor.bytes, valueAt, valueAt + valueLength)
    }
    if (!this.#open.unpack(this)) return false
    this.#open = undefined
    return true
  }

  #takeFrame({ bytes, keyAt, keyLength, valueAt, valueLength, timestamp }: RecordCursor): boolean {
    const { wireLength, encapsulation, tunnelId, linkType, peer } = this.#headers
    let { seconds, nanoseconds } = this.#headers
    if (seconds < 0 && keyLength === TIME_KEY_BYTES) {
      const microseconds = bytes.readUInt32BE(keyAt) * 0x1_0000_0000 + bytes.readUInt32BE(keyAt + 4)
      seconds = Math.min(LARGEST_UINT32, Math.floor(microseconds / 1e6))
      nanoseconds = (microseconds % 1e6) * 1000
    } else if (seconds < 0) {
      // -1: the record has none.
      const milliseconds = Math.max(0, timestamp)
      seconds = Math.min(LARGEST_UINT32, Math.floor(milliseconds / 1000))
      nanoseconds = (milliseconds % 1000) * 1e6
    }
    const captured = Math.max(0, valueLength)
    if (!this.add(valueAt, captured, wireLength || captured, seconds, nanoseconds, encapsulation, tunnelId, linkType)) {
      return false
    }
    if (this.#hasPeers) this.#batch.peer[this.#batch.count - 1] = peer
    return true
  }

  /** An empty frame, which stands in the account for what cannot be read; false when there is no room for it now. */
  addNothing(): boolean {
    return this.add(0, 0, 0, 0, 0, 0, 0, LINKTYPE_ETHERNET)
  }
}

/** An IP packet's, by its version. */
function ipEtherType(first: number): number {
  return first >> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4
}
