import { addressBytes } from '../../frames/cidr-list.ts'
import type { FrameBatch } from '../../frames/frame-batch.ts'
import { PEER_OTHER } from '../../frames/peer-table.ts'
import type { TopicRecord } from '../../kafka/client.ts'
import {
  HEADER_ENCAPSULATION,
  HEADER_LINK_TYPE,
  HEADER_ORIGINAL_LENGTH,
  HEADER_PEER,
  HEADER_TIME,
  HEADER_VNI,
  TIME_KEY_BYTES,
} from '../../kafka/frame-headers.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, IS_ETHERNET } from '../../wire/ether-type.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../wire/link-type.ts'
import { encapsulationNamed } from '../../wire/registry.ts'
import type { SourceContext } from '../source.ts'
import { isPcapng, type PcapngColumns, PcapngRecord } from './pcapng-record.ts'

/** Peers whose address was looked at already. */
const KNOWN_PEERS = 4096
/** An IP packet without Ethernet gets its header in front, in place. */
const HEADROOM_BYTES = 16
const LARGEST_UINT32 = 0xffff_ffff

/** Copies the frames of records into the source's memory, one behind the other, and fills the batch's rows. */
export class RecordUnpacker implements PcapngColumns {
  readonly #context: SourceContext
  readonly #end: number
  readonly #peers: Map<string, number> = new Map()
  #batch!: FrameBatch
  #maxRows = 0
  #at = 0
  /** A capture file that has more frames than the batch had rows for. */
  #open: PcapngRecord | undefined

  constructor(context: SourceContext) {
    this.#context = context
    this.#end = context.byteOffset + context.byteLength
  }

  begin(batch: FrameBatch, maxRows: number): void {
    this.#batch = batch
    this.#maxRows = maxRows
    this.#at = this.#context.byteOffset
  }

  get hasRoom(): boolean {
    return this.#batch.count < this.#maxRows
  }

  /** False when the record, or the rest of it, has to wait for the next batch. */
  take(message: TopicRecord): boolean {
    const value = message.value ?? Buffer.alloc(0)
    const { headers } = message
    const hasOwnHeaders = headers?.[HEADER_TIME] !== undefined || headers?.[HEADER_ORIGINAL_LENGTH] !== undefined
    if (hasOwnHeaders || !isPcapng(value)) return this.#takeFrame(message, value)
    this.#open ??= new PcapngRecord(value)
    if (!this.#open.unpack(this)) return false
    this.#open = undefined
    return true
  }

  /** Adds a row; false when there is no room for it now. What is no frame becomes an empty one, which the pipeline counts. */
  add(
    bytes: Buffer,
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
    const fits = captured <= this.#context.byteLength - HEADROOM_BYTES
    if (fits && this.#at + HEADROOM_BYTES + captured > this.#end) return false
    const kept = fits ? captured : 0
    this.#at += HEADROOM_BYTES
    batch.bytes.set(bytes.subarray(from, from + kept), this.#at)
    batch.offset[row] = this.#at
    batch.captured[row] = kept
    batch.wireLength[row] = fits ? Math.max(wireLength, captured) : 0
    batch.seconds[row] = seconds
    batch.nanoseconds[row] = nanoseconds
    batch.tunnelId[row] = tunnelId
    batch.encapsulation[row] = Math.max(0, encapsulation)
    batch.etherType[row] = linkType === LINKTYPE_RAW ? ipEtherType(bytes[from]!) : IS_ETHERNET
    batch.linkType[row] = LINKTYPE_ETHERNET
    batch.peer[row] = PEER_OTHER
    batch.count = row + 1
    this.#at += kept
    return true
  }

  #takeFrame(message: TopicRecord, value: Buffer): boolean {
    const { headers, key } = message
    const time = text(headers?.[HEADER_TIME])
    let seconds: number
    let nanoseconds: number
    if (/^\d{1,19}$/.test(time)) {
      seconds = Number(time.slice(0, -9))
      nanoseconds = Number(time.slice(-9))
    } else if (key?.length === TIME_KEY_BYTES) {
      const microseconds = key.readUInt32BE(0) * 0x1_0000_0000 + key.readUInt32BE(4)
      seconds = Math.floor(microseconds / 1e6)
      nanoseconds = (microseconds - seconds * 1e6) * 1000
    } else {
      const milliseconds = Number(message.timestamp)
      seconds = Math.floor(milliseconds / 1000)
      nanoseconds = (milliseconds - seconds * 1000) * 1e6
    }
    if (seconds > LARGEST_UINT32) seconds = LARGEST_UINT32
    const length = Number(text(headers?.[HEADER_ORIGINAL_LENGTH])) || value.length
    const encapsulation = encapsulationNamed(text(headers?.[HEADER_ENCAPSULATION]))
    const tunnelId = Number(text(headers?.[HEADER_VNI])) || 0
    const linkType = Number(text(headers?.[HEADER_LINK_TYPE])) || LINKTYPE_ETHERNET
    if (!this.add(value, 0, value.length, length, seconds, nanoseconds, encapsulation, tunnelId, linkType)) return false
    if (this.#context.peers !== undefined) {
      this.#batch.peer[this.#batch.count - 1] = this.#peerOf(text(headers?.[HEADER_PEER]))
    }
    return true
  }

  #peerOf(address: string): number {
    const known = this.#peers.get(address)
    if (known !== undefined) return known
    const bytes = addressBytes(address) ?? new Uint8Array(16)
    const peer = this.#context.peers!.indexOf(bytes, 0, bytes.length)
    if (this.#peers.size >= KNOWN_PEERS) this.#peers.clear()
    this.#peers.set(address, peer)
    return peer
  }
}

/** An IP packet's, by its version. */
function ipEtherType(first: number): number {
  return first >> 4 === 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4
}

function text(header: Buffer | string | (Buffer | string)[] | undefined): string {
  return header === undefined ? '' : String(Array.isArray(header) ? header[0] : header)
}
