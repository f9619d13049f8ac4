import { type TimeScale, timeScale } from './reader-time.ts'
import type { PacketColumns, RecordParser, Window } from './reader-window.ts'

// draft-ietf-opsawg-pcapng, section 4.
export const SECTION_HEADER_BLOCK = 0x0a0d0d0a
const INTERFACE_DESCRIPTION_BLOCK = 1
const OBSOLETE_PACKET_BLOCK = 2
const SIMPLE_PACKET_BLOCK = 3
const ENHANCED_PACKET_BLOCK = 6

const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const BYTE_ORDER = 8
const MAJOR_VERSION = 12

const LENGTH = 4
/** Type, length, and the length again at the end. */
const MIN_BLOCK_LENGTH = 12
const MIN_SECTION_HEADER_LENGTH = 28

const INTERFACE_LINK_TYPE = 8
const INTERFACE_SNAP_LENGTH = 12
const INTERFACE_OPTIONS = 16
const OPTION_END = 0
const OPTION_TIME_RESOLUTION = 9
const OPTION_TIME_OFFSET = 14
const DEFAULT_TIME_RESOLUTION = 6

const PACKET_INTERFACE = 8
const PACKET_TIME_HIGH = 12
const PACKET_TIME_LOW = 16
const PACKET_CAPTURED = 20
const PACKET_ORIGINAL = 24
const PACKET_DATA = 28
const SIMPLE_ORIGINAL = 8
const SIMPLE_DATA = 12

/** Bounds the memory that a hostile file can make us take. */
const MAX_INTERFACES = 65_536

interface CapturedInterface {
  readonly linkType: number
  /** 0 = unlimited. */
  readonly snapLength: number
  readonly time: TimeScale
}

/** Parses pcapng blocks; every section starts anew with its own byte order and interfaces. */
export class PcapngParser implements RecordParser {
  #littleEndian = false
  #interfaces: CapturedInterface[] = []

  parse(window: Window, columns: PacketColumns, maxRows: number): number {
    let row = 0
    while (row < maxRows && window.end - window.start >= MIN_BLOCK_LENGTH) {
      const at = window.start
      const type = window.view.getUint32(at, this.#littleEndian)
      // The section header's type reads the same in either byte order.
      if (type === SECTION_HEADER_BLOCK && !this.#takeByteOrder(window)) break
      const length = window.view.getUint32(at + LENGTH, this.#littleEndian)
      if (!this.#isWhole(window, type, length)) break
      if (isPacket(type)) {
        if (!this.#takePacket(window, type, length, columns, row)) break
        row++
      } else if (!this.#takeDescription(window, type, length)) break
      window.start = at + length
    }
    window.unit = 'a block'
    return row
  }

  /** False when the byte order cannot be told: the magic is wrong. */
  #takeByteOrder(window: Window): boolean {
    const magic = window.view.getUint32(window.start + BYTE_ORDER, true)
    const isLittle = magic === BYTE_ORDER_MAGIC
    if (!isLittle && window.view.getUint32(window.start + BYTE_ORDER, false) !== BYTE_ORDER_MAGIC) {
      window.fail(window.start, `unknown byte-order magic 0x${magic.toString(16).padStart(8, '0')}`)
      return false
    }
    this.#littleEndian = isLittle
    return true
  }

  /** False when bytes are missing or the length lies. Blocks of no interest may be larger than the window. */
  #isWhole(window: Window, type: number, length: number): boolean {
    const { view, start, end } = window
    if (length < MIN_BLOCK_LENGTH || length % 4 !== 0) {
      window.fail(start, `block length ${length}`)
      return false
    }
    if (length > view.byteLength) {
      if (isPacket(type) || type === INTERFACE_DESCRIPTION_BLOCK || type === SECTION_HEADER_BLOCK) {
        window.fail(start, `block of ${length} bytes; at most ${view.byteLength} can be read`)
      } else {
        window.skip = length - (end - start)
        window.start = end
      }
      return false
    }
    if (end - start < length) return false
    const repeated = view.getUint32(start + length - 4, this.#littleEndian)
    if (repeated !== length) window.fail(start, `block length ${length}, repeated as ${repeated}`)
    return repeated === length
  }

  #takeDescription(window: Window, type: number, length: number): boolean {
    if (type === SECTION_HEADER_BLOCK) return this.#takeSection(window, length)
    if (type === INTERFACE_DESCRIPTION_BLOCK) return this.#takeInterface(window, length)
    return true
  }

  #takeSection(window: Window, length: number): boolean {
    const major =
      length < MIN_SECTION_HEADER_LENGTH ? -1 : window.view.getUint16(window.start + MAJOR_VERSION, this.#littleEndian)
    if (major !== 1) {
      window.fail(
        window.start,
        major < 0 ? `section header of ${length} bytes` : `pcapng version ${major}; version 1 can be read`,
      )
      return false
    }
    this.#interfaces = []
    return true
  }

  #takeInterface(window: Window, length: number): boolean {
    const { view, start } = window
    const little = this.#littleEndian
    if (length < INTERFACE_OPTIONS + 4 || this.#interfaces.length === MAX_INTERFACES) {
      window.fail(start, `interface description of ${length} bytes, number ${this.#interfaces.length}`)
      return false
    }
    let resolution = DEFAULT_TIME_RESOLUTION
    let offsetSeconds = 0
    const end = start + length - 4
    let at = start + INTERFACE_OPTIONS
    while (end - at >= 4) {
      const code = view.getUint16(at, little)
      const size = view.getUint16(at + 2, little)
      if (code === OPTION_END) break
      if (size > end - at - 4) {
        window.fail(start, `interface option of ${size} bytes, longer than its block`)
        return false
      }
      if (code === OPTION_TIME_RESOLUTION && size >= 1) resolution = view.getUint8(at + 4)
      if (code === OPTION_TIME_OFFSET && size >= 8) offsetSeconds = signed64(view, at + 4, little)
      at += 4 + ((size + 3) & ~3)
    }
    this.#interfaces.push({
      linkType: view.getUint16(start + INTERFACE_LINK_TYPE, little),
      snapLength: view.getUint32(start + INTERFACE_SNAP_LENGTH, little),
      time: timeScale(resolution, offsetSeconds),
    })
    return true
  }

  #takePacket(window: Window, type: number, length: number, columns: PacketColumns, row: number): boolean {
    const { view, start } = window
    const little = this.#littleEndian
    const isSimple = type === SIMPLE_PACKET_BLOCK
    const data = isSimple ? SIMPLE_DATA : PACKET_DATA
    const room = length - data - 4
    const index = isSimple || room < 0 ? 0 : this.#interfaceIndex(view, start, type)
    const source = this.#interfaces[index]
    if (room < 0 || source === undefined) {
      window.fail(
        start,
        room < 0 ? `packet block of ${length} bytes` : `packet of interface ${index}, which is not described`,
      )
      return false
    }
    const original = view.getUint32(start + (isSimple ? SIMPLE_ORIGINAL : PACKET_ORIGINAL), little)
    const captured = isSimple ? simpleCaptured(original, source) : view.getUint32(start + PACKET_CAPTURED, little)
    if (captured > room) {
      window.fail(start, `packet of ${captured} bytes in a block with room for ${room}`)
      return false
    }
    if (isSimple) {
      columns.seconds[row] = 0
      columns.nanoseconds[row] = 0
    } else {
      const high = view.getUint32(start + PACKET_TIME_HIGH, little)
      source.time.fill(high, view.getUint32(start + PACKET_TIME_LOW, little), columns, row)
    }
    columns.offset[row] = view.byteOffset + start + data
    columns.captured[row] = captured
    columns.wireLength[row] = Math.max(captured, original)
    columns.linkType[row] = source.linkType
    return true
  }

  #interfaceIndex(view: DataView, start: number, type: number): number {
    return type === OBSOLETE_PACKET_BLOCK
      ? view.getUint16(start + PACKET_INTERFACE, this.#littleEndian)
      : view.getUint32(start + PACKET_INTERFACE, this.#littleEndian)
  }
}

function isPacket(type: number): boolean {
  return type === ENHANCED_PACKET_BLOCK || type === SIMPLE_PACKET_BLOCK || type === OBSOLETE_PACKET_BLOCK
}

/** A simple packet block does not tell its captured length: it is the original one, cut at the interface's snap length. */
function simpleCaptured(original: number, source: CapturedInterface): number {
  return source.snapLength === 0 ? original : Math.min(original, source.snapLength)
}

function signed64(view: DataView, at: number, littleEndian: boolean): number {
  return Number(view.getBigInt64(at, littleEndian))
}
