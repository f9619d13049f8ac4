import type { PackedRecords } from './fetched-batch.ts'

/** A varint of 64 bits takes so many bytes at most. */
const LONGEST_VARINT = 10

/** Walks records, one behind the other, by index: nothing is allocated for a record. The fields are those of the last next(). */
export class RecordCursor {
  readonly bytes: Buffer
  offset = 0
  /** Milliseconds since 1970. */
  timestamp = 0
  keyAt = 0
  /** -1: none. */
  keyLength = 0
  valueAt = 0
  /** -1: none. */
  valueLength = 0
  headers = 0
  /** What this header's name and value are; of the last nextHeader(). */
  nameAt = 0
  nameLength = 0
  headerAt = 0
  headerLength = 0
  readonly #records: PackedRecords
  #left: number
  #at: number
  #next: number
  #end = 0
  #isSound = true

  constructor(records: PackedRecords) {
    this.#records = records
    this.bytes = records.bytes
    this.#left = records.count
    this.#at = records.start
    this.#next = records.start
  }

  /** False at the end, and where the rest is not what a record is: see isSound. */
  next(): boolean {
    if (this.#left <= 0) return false
    this.#at = this.#next
    this.#end = this.bytes.length
    const length = this.#varint()
    this.#end = this.#at + length
    this.#next = this.#end
    if (!this.#isSound || length < 1 || this.#end > this.bytes.length) return this.#damaged()
    this.#left--
    this.#at++
    const { baseOffset, baseTimestamp, appendTimestamp } = this.#records
    const timestampDelta = this.#varint()
    this.timestamp = appendTimestamp ?? baseTimestamp + timestampDelta
    this.offset = baseOffset + this.#varint()
    this.keyLength = this.#varint()
    this.keyAt = this.#pass(this.keyLength)
    this.valueLength = this.#varint()
    this.valueAt = this.#pass(this.valueLength)
    this.headers = this.#varint()
    return this.#isSound || this.#damaged()
  }

  /** To be called `headers` times. False where the rest is no header. */
  nextHeader(): boolean {
    this.nameLength = this.#varint()
    this.nameAt = this.#pass(this.nameLength)
    this.headerLength = this.#varint()
    this.headerAt = this.#pass(this.headerLength)
    return this.#isSound || this.#damaged()
  }

  /** False when the records ended with something that is none. */
  get isSound(): boolean {
    return this.#isSound
  }

  /** Goes over so many bytes, none for -1; returns where they were. */
  #pass(length: number): number {
    const at = this.#at
    if (length > 0) this.#at += length
    if (this.#at > this.#end) this.#isSound = false
    return at
  }

  #varint(): number {
    const { bytes } = this
    const first = this.#at < this.#end ? bytes[this.#at++]! : 0x80
    if (first < 0x80) return (first >>> 1) ^ -(first & 1)
    return this.#longVarint(first)
  }

  #longVarint(first: number): number {
    const last = Math.min(this.#end, this.#at + LONGEST_VARINT - 1)
    let value = first & 0x7f
    let factor = 0x80
    while (this.#at < last) {
      const byte = this.bytes[this.#at++]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      factor *= 0x80
    }
    this.#isSound = false
    return 0
  }

  #damaged(): false {
    this.#isSound = false
    this.#left = 0
    return false
  }
}
