import { TIME_KEY_BYTES } from '../../kafka/frame-headers.ts'
import { varintBytes, writeVarint } from '../../kafka/varint.ts'
import type { PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import { writeTimeKey } from './frame-encoder.ts'
import type { OpenBatch } from './open-batch.ts'

/** Bytes of a record in front of its value: its own fields, a time key, the value's length; behind it no headers. */
const RECORD_FRAMING_BYTES = 64
const NO_HEADERS_BYTES = 1

/** The capture file that a batch's one record will carry. */
export class Section {
  readonly bytes: Buffer
  readonly view: DataView
  size: number
  readonly #batch: OpenBatch
  readonly #key: Uint8Array | undefined
  readonly #seconds: number
  readonly #nanoseconds: number
  /** Ids by whatever number the caller gives an interface. */
  readonly #interfaces: Map<number, number> = new Map()

  /** `seconds`, `nanoseconds`: of its first frame, which the record is dated by. */
  constructor(batch: OpenBatch, header: Uint8Array, key: Uint8Array | undefined, seconds: number, nanoseconds: number) {
    const { bytes, size } = batch.records
    this.bytes = Buffer.allocUnsafeSlow(bytes.length - size - RECORD_FRAMING_BYTES - (key?.length ?? 0))
    this.view = new DataView(this.bytes.buffer)
    this.bytes.set(header)
    this.size = header.length
    this.#batch = batch
    this.#key = key
    this.#seconds = seconds
    this.#nanoseconds = nanoseconds
  }

  /** Bytes that are left. */
  get room(): number {
    return this.bytes.length - this.size
  }

  /** The id of an interface, described here by `block` if it is new; -1 when there is no room for that and `bytes` more. */
  interfaceId(which: number, bytes: number, block: () => Uint8Array): number {
    const known = this.#interfaces.get(which)
    if (known !== undefined) return bytes <= this.room ? known : -1
    const description = block()
    if (description.length + bytes > this.room) return -1
    this.bytes.set(description, this.size)
    this.size += description.length
    const id = this.#interfaces.size
    this.#interfaces.set(which, id)
    return id
  }

  /** Becomes the batch's record. */
  finish(): void {
    const { records } = this.#batch
    const { size } = this
    const keyBytes = this.#key?.length ?? TIME_KEY_BYTES
    const bodyBytes = varintBytes(keyBytes) + keyBytes + varintBytes(size) + size + NO_HEADERS_BYTES
    let at = records.begin(this.#seconds * 1000 + Math.floor(this.#nanoseconds / 1e6), bodyBytes)
    at = writeVarint(records.bytes, at, keyBytes)
    if (this.#key === undefined) writeTimeKey(records.view, at, this.#seconds, this.#nanoseconds)
    else records.bytes.set(this.#key, at)
    at = writeVarint(records.bytes, at + keyBytes, size)
    this.bytes.copy(records.bytes, at, 0, size)
    records.bytes[at + size] = 0
  }
}

/** The sections of the batches that are open. */
export class Sections {
  readonly #header: Uint8Array
  readonly #open: Map<OpenBatch, Section> = new Map()

  constructor(format: PcapngFormat) {
    this.#header = format.fileHeader()
  }

  of(batch: OpenBatch, key: Uint8Array | undefined, seconds: number, nanoseconds: number): Section {
    let section = this.#open.get(batch)
    if (section === undefined) {
      section = new Section(batch, this.#header, key, seconds, nanoseconds)
      this.#open.set(batch, section)
    }
    return section
  }

  finish(batch: OpenBatch): void {
    const section = this.#open.get(batch)
    this.#open.delete(batch)
    if (batch.frames > 0) section?.finish()
  }
}
