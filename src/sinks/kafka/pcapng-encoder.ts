import { TIME_KEY_BYTES } from '../../kafka/frame-headers.ts'
import { varintBytes, writeVarint } from '../../kafka/varint.ts'
import { PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../wire/link-type.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import { type FrameEncoder, writeTimeKey } from './frame-encoder.ts'
import { CAPTURED, ENCAPSULATION, FRAME, NANOSECONDS, SECONDS, TUNNEL_ID, WIRE_LENGTH } from './frame-record.ts'
import type { OpenBatch } from './open-batch.ts'

/** Bytes of a record in front of its value: its own fields, a time key, the value's length; behind it no headers. */
const RECORD_FRAMING_BYTES = 64
const NO_HEADERS_BYTES = 1

/** The file that a batch will carry. */
class Section {
  readonly bytes: Buffer
  readonly view: DataView
  size: number
  readonly key: Uint8Array | undefined
  readonly seconds: number
  readonly nanoseconds: number
  /** Interface ids by tunnel, encapsulation and link type. */
  readonly interfaces: Map<number, number> = new Map()

  constructor(capacity: number, header: Uint8Array, key: Uint8Array | undefined, seconds: number, nanoseconds: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
    this.view = new DataView(this.bytes.buffer)
    this.bytes.set(header)
    this.size = header.length
    this.key = key
    this.seconds = seconds
    this.nanoseconds = nanoseconds
  }
}

/** format=pcapng: one record, whose value is a whole pcapng file of many frames. */
export class PcapngRecords implements FrameEncoder {
  readonly #slab: Buffer
  readonly #view: DataView
  readonly #format: PcapngFormat
  readonly #header: Uint8Array
  readonly #sections: Map<OpenBatch, Section> = new Map()
  /** One row, for the format's columns. */
  readonly #columns = {
    captured: new Uint32Array(1),
    wireLength: new Uint32Array(1),
    seconds: new Uint32Array(1),
    nanoseconds: new Uint32Array(1),
  }

  constructor(slab: Uint8Array) {
    this.#format = new PcapngFormat()
    this.#header = this.#format.fileHeader()
    this.#slab = Buffer.from(slab.buffer, slab.byteOffset, slab.length)
    this.#view = new DataView(slab.buffer, slab.byteOffset, slab.length)
  }

  add(batch: OpenBatch, at: number, key: Uint8Array | undefined): boolean {
    const view = this.#view
    const columns = this.#columns
    columns.captured[0] = view.getUint32(at + CAPTURED, true)
    columns.wireLength[0] = view.getUint32(at + WIRE_LENGTH, true)
    columns.seconds[0] = view.getUint32(at + SECONDS, true)
    columns.nanoseconds[0] = view.getUint32(at + NANOSECONDS, true)
    const section = this.#sections.get(batch) ?? this.#begin(batch, key)
    const size = this.#format.recordBytes(columns.captured[0]!)
    const id = this.#interfaceOf(
      section,
      view.getUint32(at + TUNNEL_ID, true),
      view.getUint16(at + ENCAPSULATION, true),
      size,
    )
    if (id < 0) return false
    this.#format.writeRecord(section.view, section.size, columns, 0, id)
    this.#slab.copy(
      section.bytes,
      section.size + this.#format.headerBytes,
      at + FRAME,
      at + FRAME + columns.captured[0]!,
    )
    section.size += size
    batch.frames++
    return true
  }

  finish(batch: OpenBatch): void {
    const section = this.#sections.get(batch)
    if (section === undefined) return
    this.#sections.delete(batch)
    const { records } = batch
    const keyBytes = section.key?.length ?? TIME_KEY_BYTES
    const bodyBytes = varintBytes(keyBytes) + keyBytes + varintBytes(section.size) + section.size + NO_HEADERS_BYTES
    let at = records.begin(section.seconds * 1000 + Math.floor(section.nanoseconds / 1e6), bodyBytes)
    at = writeVarint(records.bytes, at, keyBytes)
    if (section.key === undefined) writeTimeKey(records.view, at, section.seconds, section.nanoseconds)
    else records.bytes.set(section.key, at)
    at = writeVarint(records.bytes, at + keyBytes, section.size)
    section.bytes.copy(records.bytes, at, 0, section.size)
    records.bytes[at + section.size] = 0
  }

  #begin(batch: OpenBatch, key: Uint8Array | undefined): Section {
    const capacity = batch.records.bytes.length - batch.records.size - RECORD_FRAMING_BYTES - (key?.length ?? 0)
    const { seconds, nanoseconds } = this.#columns
    const section = new Section(capacity, this.#header, key, seconds[0]!, nanoseconds[0]!)
    this.#sections.set(batch, section)
    return section
  }

  /** `kind`: encapsulation, and whether it is bare IP, as the record has them side by side. The interface of a tunnel, described in the section if it is new there; -1 when a record of `size` bytes has no room. */
  #interfaceOf(section: Section, tunnelId: number, kind: number, size: number): number {
    const tunnel = tunnelId * 0x1_0000 + kind
    const known = section.interfaces.get(tunnel)
    if (known !== undefined) return section.size + size <= section.bytes.length ? known : -1
    const { name } = ENCAPSULATIONS[kind & 0xff]!
    const linkType = kind > 0xff ? LINKTYPE_RAW : LINKTYPE_ETHERNET
    const block = this.#format.interfaceBlock(`${name}-${tunnelId}`, `${name}, tunnel identifier ${tunnelId}`, linkType)
    if (section.size + block.length + size > section.bytes.length) return -1
    section.bytes.set(block, section.size)
    section.size += block.length
    const id = section.interfaces.size
    section.interfaces.set(tunnel, id)
    return id
  }
}
