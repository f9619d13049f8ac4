import { PeerTable } from '../../frames/peer-table.ts'
import {
  HEADER_ENCAPSULATION,
  HEADER_LINK_TYPE,
  HEADER_ORIGINAL_LENGTH,
  HEADER_PEER,
  HEADER_TIME,
  HEADER_VNI,
  TIME_KEY_BYTES,
} from '../../kafka/frame-headers.ts'
import { varintBytes, writeVarint } from '../../kafka/varint.ts'
import { LINKTYPE_RAW } from '../../wire/link-type.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import type { Lane } from '../thread/wiring.ts'
import {
  CAPTURED,
  ENCAPSULATION,
  FRAME,
  NANOSECONDS,
  RECORD_BYTES,
  SECONDS,
  TUNNEL_ID,
  WIRE_LENGTH,
} from './frame-record.ts'
import type { OpenBatch } from './open-batch.ts'

/** Those that every record has. */
const HEADERS = 5
const NANOSECOND_DIGITS = 9
/** Tunnels and peers whose headers are kept ready. */
const KNOWN_HEADERS = 4096
const TIME_HEADER: Uint8Array = headerName(HEADER_TIME)

/** Stands for the tunnels that have no series of their own. */
export const OTHER_TUNNELS = -1

/** Puts frames of the queue into batches. */
export interface FrameEncoder {
  /** Of the records that look() was told of. */
  readonly encapsulation: number
  readonly tunnelId: number
  /** What comes next has the numbers of this lane; absent = it has none. */
  use?(lane: Lane<unknown>): void
  leave?(lane: Lane<unknown>): void
  /** Reads which tunnel the record at `at`, in a segment of `series`, belongs to. */
  look(at: number, series: number): void
  /** Where the records end that go where the one at `at` goes, in a segment that ends at `end`. */
  runEnd(at: number, end: number): number
  recordEnd(at: number): number
  /** Adds records from `at` to `end`; returns where the first is that the batch has no room for. `key`: undefined = the time. */
  add(batch: OpenBatch, at: number, end: number, key: Uint8Array | undefined): number
  /** No frame follows: what is still beside the batch goes into it. */
  finish(batch: OpenBatch): void
}

/** What encoders share to whom each frame comes with its columns, and goes its own way. */
export abstract class FrameRecords implements FrameEncoder {
  encapsulation = 0
  tunnelId = 0
  protected readonly slab: Buffer
  protected readonly view: DataView

  constructor(slab: Uint8Array) {
    this.slab = Buffer.from(slab.buffer, slab.byteOffset, slab.length)
    this.view = new DataView(slab.buffer, slab.byteOffset, slab.length)
  }

  look(at: number): void {
    this.encapsulation = this.view.getUint8(at + ENCAPSULATION)
    this.tunnelId = this.view.getUint32(at + TUNNEL_ID, true)
  }

  runEnd(at: number): number {
    return this.recordEnd(at)
  }

  recordEnd(at: number): number {
    return at + this.view.getUint32(at + RECORD_BYTES, true)
  }

  abstract add(batch: OpenBatch, at: number, end: number, key: Uint8Array | undefined): number

  finish(_batch: OpenBatch): void {}
}

interface KnownPeers {
  readonly peers: PeerTable | undefined
  /** Number of headers, those that depend on tunnel and peer, and the name of the one that follows. */
  readonly ready: Map<number, Uint8Array>
}

/** format=frame: a record for each frame. */
export class SingleFrames extends FrameRecords {
  /** By worker, as each numbers the peers for itself. */
  readonly #workers: Map<number, KnownPeers> = new Map()
  #peers: PeerTable | undefined
  #ready: KnownPeers['ready'] = new Map()
  #lastTunnel = -1
  #lastSource = -1
  #last: Uint8Array = new Uint8Array(0)

  use({ worker, peers }: Lane<unknown>): void {
    let known = this.#workers.get(worker)
    if (known === undefined) {
      known = { peers: peers && PeerTable.reader(peers), ready: new Map() }
      this.#workers.set(worker, known)
    }
    this.#peers = known.peers
    this.#ready = known.ready
    this.#lastTunnel = -1
  }

  add(batch: OpenBatch, at: number, end: number, key: Uint8Array | undefined): number {
    const { view } = this
    const captured = view.getUint32(at + CAPTURED, true)
    const wireLength = view.getUint32(at + WIRE_LENGTH, true)
    const seconds = view.getUint32(at + SECONDS, true)
    const nanoseconds = view.getUint32(at + NANOSECONDS, true)
    const headers = this.#headersFor(view.getUint32(at + TUNNEL_ID, true), view.getUint32(at + ENCAPSULATION, true))
    const lengthDigits = digitsOf(wireLength)
    const timeDigits = seconds > 0 ? digitsOf(seconds) + NANOSECOND_DIGITS : digitsOf(nanoseconds)
    const keyBytes = key === undefined ? TIME_KEY_BYTES : key.length
    const bodyBytes =
      varintBytes(keyBytes) +
      keyBytes +
      varintBytes(captured) +
      captured +
      headers.length +
      1 +
      lengthDigits +
      TIME_HEADER.length +
      1 +
      timeDigits
    const { records } = batch
    if (!records.fits(bodyBytes)) return at
    let to = records.begin(seconds * 1000 + Math.floor(nanoseconds / 1e6), bodyBytes)
    const { bytes } = records
    to = writeVarint(bytes, to, keyBytes)
    if (key === undefined) writeTimeKey(records.view, to, seconds, nanoseconds)
    else bytes.set(key, to)
    to = writeVarint(bytes, to + keyBytes, captured)
    this.slab.copy(bytes, to, at + FRAME, at + FRAME + captured)
    to += captured
    bytes.set(headers, to)
    to = writeVarint(bytes, to + headers.length, lengthDigits)
    writeDigits(bytes, to, wireLength, lengthDigits)
    bytes.set(TIME_HEADER, to + lengthDigits)
    to = writeVarint(bytes, to + lengthDigits + TIME_HEADER.length, timeDigits)
    if (seconds > 0) writeDigits(bytes, to, seconds, timeDigits - NANOSECOND_DIGITS)
    const fraction = Math.min(timeDigits, NANOSECOND_DIGITS)
    writeDigits(bytes, to + timeDigits - fraction, nanoseconds, fraction)
    batch.frames++
    return end
  }

  /** `source`: encapsulation, whether it is bare IP, and peer, as the record has them side by side. */
  #headersFor(tunnelId: number, source: number): Uint8Array {
    if (tunnelId === this.#lastTunnel && source === this.#lastSource) return this.#last
    this.#lastTunnel = tunnelId
    this.#lastSource = source
    const encapsulation = source & 0xff
    const isRawIp = (source & 0x100) !== 0
    const peer = source >>> 16
    const key = ((tunnelId * 0x1_0000 + peer) * ENCAPSULATIONS.length + encapsulation) * 2 + (isRawIp ? 1 : 0)
    let headers = this.#ready.get(key)
    if (headers === undefined) {
      headers = this.#makeHeaders(tunnelId, encapsulation, peer, isRawIp)
      if (this.#ready.size >= KNOWN_HEADERS) this.#ready.clear()
      this.#ready.set(key, headers)
    }
    this.#last = headers
    return headers
  }

  #makeHeaders(tunnelId: number, encapsulation: number, peer: number, isRawIp: boolean): Uint8Array {
    const count = Buffer.alloc(1)
    writeVarint(count, 0, isRawIp ? HEADERS + 1 : HEADERS)
    return Buffer.concat([
      count,
      header(HEADER_VNI, String(tunnelId)),
      header(HEADER_ENCAPSULATION, ENCAPSULATIONS[encapsulation]!.name),
      header(HEADER_PEER, this.#peers?.text(peer) ?? ''),
      ...(isRawIp ? [header(HEADER_LINK_TYPE, String(LINKTYPE_RAW))] : []),
      headerName(HEADER_ORIGINAL_LENGTH),
    ])
  }
}

/** Microseconds since 1970, eight bytes, big endian. */
export function writeTimeKey(view: DataView, at: number, seconds: number, nanoseconds: number): void {
  const microseconds = seconds * 1e6 + Math.floor(nanoseconds / 1000)
  view.setUint32(at, Math.floor(microseconds / 0x1_0000_0000))
  view.setUint32(at + 4, microseconds % 0x1_0000_0000)
}

function headerName(name: string): Uint8Array {
  const bytes = Buffer.alloc(varintBytes(name.length) + name.length)
  bytes.write(name, writeVarint(bytes, 0, name.length), 'latin1')
  return bytes
}

function header(name: string, value: string): Uint8Array {
  return Buffer.concat([headerName(name), headerName(value)])
}

function digitsOf(value: number): number {
  let digits = 1
  for (let limit = 10; value >= limit; limit *= 10) digits++
  return digits
}

function writeDigits(bytes: Uint8Array, at: number, value: number, digits: number): void {
  let rest = value
  for (let i = at + digits - 1; i >= at; i--) {
    const quotient = Math.floor(rest / 10)
    bytes[i] = 0x30 + rest - quotient * 10
    rest = quotient
  }
}
