import type { PacketColumns, RecordParser, Window } from './reader-window.ts'

// draft-ietf-opsawg-pcap, section 4; the modified format is Alexey Kuznetzov's, as in libpcap's sf-pcap.c.
const MAGIC_MICROSECONDS = 0xa1b2c3d4
const MAGIC_NANOSECONDS = 0xa1b23c4d
const MAGIC_MODIFIED = 0xa1b2cd34
const FILE_HEADER_LENGTH = 24
const MAJOR_VERSION = 4
const LINK_TYPE = 20

// Section 5.
const SECONDS = 0
const FRACTION = 4
const CAPTURED = 8
const ORIGINAL = 12
const RECORD_HEADER_LENGTH = 16
/** The modified format appends interface index, protocol and packet type. */
const MODIFIED_RECORD_HEADER_LENGTH = 24

const MAX_UINT32 = 0xffff_ffff

/** True when these four bytes, read in the given order, start a pcap file. */
export function isPcapMagic(magic: number): boolean {
  return magic === MAGIC_MICROSECONDS || magic === MAGIC_NANOSECONDS || magic === MAGIC_MODIFIED
}

/** Reads the header at `window.start`; undefined while it is not complete, or with `window.problem` set. */
export function openPcap(window: Window, littleEndian: boolean): RecordParser | undefined {
  const { view, start } = window
  if (window.end - start < FILE_HEADER_LENGTH) return undefined
  const major = view.getUint16(start + MAJOR_VERSION, littleEndian)
  if (major !== 2) {
    window.fail(start, `pcap version ${major}; version 2 can be read`)
    return undefined
  }
  const magic = view.getUint32(start, littleEndian)
  // The upper half tells the length of the frame check sequence.
  const linkType = view.getUint32(start + LINK_TYPE, littleEndian) & 0xffff
  window.start += FILE_HEADER_LENGTH
  return new PcapParser(magic, littleEndian, linkType)
}

class PcapParser implements RecordParser {
  readonly #littleEndian: boolean
  readonly #linkType: number
  readonly #headerLength: number
  readonly #unitsPerSecond: number
  readonly #nanosecondsPerUnit: number

  constructor(magic: number, littleEndian: boolean, linkType: number) {
    this.#littleEndian = littleEndian
    this.#linkType = linkType
    this.#headerLength = magic === MAGIC_MODIFIED ? MODIFIED_RECORD_HEADER_LENGTH : RECORD_HEADER_LENGTH
    this.#unitsPerSecond = magic === MAGIC_NANOSECONDS ? 1e9 : 1e6
    this.#nanosecondsPerUnit = 1e9 / this.#unitsPerSecond
  }

  parse(window: Window, columns: PacketColumns, maxRows: number): number {
    const { view, end } = window
    const little = this.#littleEndian
    const headerLength = this.#headerLength
    const roomForPacket = view.byteLength - headerLength
    let at = window.start
    let row = 0
    while (row < maxRows && end - at >= headerLength) {
      const captured = view.getUint32(at + CAPTURED, little)
      if (captured > roomForPacket) {
        window.fail(at, `record of ${captured} bytes; at most ${roomForPacket} can be read`)
        break
      }
      if (end - at - headerLength < captured) break
      this.#fillTime(view, at, columns, row)
      columns.offset[row] = view.byteOffset + at + headerLength
      columns.captured[row] = captured
      columns.wireLength[row] = Math.max(captured, view.getUint32(at + ORIGINAL, little))
      columns.linkType[row] = this.#linkType
      at += headerLength + captured
      row++
    }
    window.start = at
    window.unit = 'a record'
    return row
  }

  #fillTime(view: DataView, at: number, columns: PacketColumns, row: number): void {
    let seconds = view.getUint32(at + SECONDS, this.#littleEndian)
    let fraction = view.getUint32(at + FRACTION, this.#littleEndian)
    // Some writers let the fraction run past one second.
    if (fraction >= this.#unitsPerSecond) {
      seconds = Math.min(MAX_UINT32, seconds + Math.floor(fraction / this.#unitsPerSecond))
      fraction %= this.#unitsPerSecond
    }
    columns.seconds[row] = seconds
    columns.nanoseconds[row] = fraction * this.#nanosecondsPerUnit
  }
}
