import {
  checkedSnapLength,
  ETHERNET,
  type InterfaceStatistics,
  MAXIMUM_SNAP_LENGTH,
  type RecordColumns,
  type RecordFormat,
} from './record-format.ts'

/** draft-ietf-opsawg-pcapng section 4: block types. */
const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const INTERFACE_STATISTICS = 5
const ENHANCED_PACKET = 6

/** Section 3.1: type and length in front of a block's body, the length again behind it. */
const BLOCK_LENGTH = 4
const BODY = 8
const TRAILER_BYTES = 4

/** Section 4.3: the enhanced packet block. */
const PACKET_HEADER_BYTES = 28
const INTERFACE_ID = 8
const TIME_HIGH = 12
const TIME_LOW = 16
const CAPTURED = 20
const WIRE_LENGTH = 24

/** Option codes, each meant in its own block (sections 3.5, 4.1, 4.2, 4.6). */
const END_OF_OPTIONS = 0
const OPT_COMMENT = 1
const SHB_USERAPPL = 4
const IF_NAME = 2
const IF_DESCRIPTION = 3
const IF_TSRESOL = 9
const ISB_STARTTIME = 2
const ISB_ENDTIME = 3
const ISB_IFRECV = 4
const ISB_IFDROP = 5
const ISB_OSDROP = 7

const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const NANOSECOND_RESOLUTION = 9
const NANOSECONDS = 1_000_000_000
/** An option's length is 16 bits wide; names are cut well before that. */
const MAXIMUM_TEXT_BYTES = 1024

/** Settings of {@link PcapngFormat}. */
export interface PcapngFormatOptions {
  /** LINKTYPE_ value of every interface; Ethernet by default. */
  readonly linkType?: number
  /** 1 to 262144, which is the default. */
  readonly snapLength?: number
}

/** pcapng, one section a file: an interface for each series, times in nanoseconds. */
export class PcapngFormat implements RecordFormat {
  readonly name = 'pcapng'
  readonly headerBytes = PACKET_HEADER_BYTES
  readonly hasInterfaces = true
  readonly snapLength: number
  readonly #linkType: number

  constructor(options: PcapngFormatOptions = {}) {
    this.snapLength = checkedSnapLength(options.snapLength ?? MAXIMUM_SNAP_LENGTH)
    this.#linkType = options.linkType ?? ETHERNET
  }

  recordBytes(captured: number): number {
    return PACKET_HEADER_BYTES + padded(captured) + TRAILER_BYTES
  }

  writeRecord(view: DataView, at: number, columns: RecordColumns, row: number, interfaceId: number): void {
    const captured = columns.captured[row]!
    const length = this.recordBytes(captured)
    view.setUint32(at, ENHANCED_PACKET, true)
    view.setUint32(at + BLOCK_LENGTH, length, true)
    view.setUint32(at + INTERFACE_ID, interfaceId, true)
    writeTime(view, at + TIME_HIGH, columns.seconds[row]!, columns.nanoseconds[row]!)
    view.setUint32(at + CAPTURED, captured, true)
    view.setUint32(at + WIRE_LENGTH, columns.wireLength[row]!, true)
    const trailer = at + length - TRAILER_BYTES
    for (let i = at + PACKET_HEADER_BYTES + captured; i < trailer; i++) view.setUint8(i, 0)
    view.setUint32(trailer, length, true)
  }

  /** Puts options (see commentOption) into the record that writeRecord has laid out at `at`, which grows by their length. */
  appendOptions(bytes: Uint8Array, view: DataView, at: number, options: Uint8Array): void {
    const end = at + this.lengthAt(view, at)
    const length = end - at + options.length
    bytes.set(options, end - TRAILER_BYTES)
    view.setUint32(at + BLOCK_LENGTH, length, true)
    view.setUint32(at + length - TRAILER_BYTES, length, true)
  }

  lengthAt(view: DataView, at: number): number {
    return view.getUint32(at + BLOCK_LENGTH, true)
  }

  secondsAt(view: DataView, at: number): number {
    const high = view.getUint32(at + TIME_HIGH, true)
    const low = view.getUint32(at + TIME_LOW, true)
    // Long division in base 65536: every step stays below 2^53, where doubles are exact.
    const upper = high * 65_536 + (low >>> 16)
    const quotient = Math.floor(upper / NANOSECONDS)
    const rest = (upper - quotient * NANOSECONDS) * 65_536 + (low & 0xffff)
    return quotient * 65_536 + Math.floor(rest / NANOSECONDS)
  }

  nanosecondsAt(view: DataView, at: number): number {
    const upper = view.getUint32(at + TIME_HIGH, true) * 65_536 + view.getUint16(at + TIME_LOW + 2, true)
    return ((upper % NANOSECONDS) * 65_536 + view.getUint16(at + TIME_LOW, true)) % NANOSECONDS
  }

  interfaceIdAt(view: DataView, at: number): number {
    return view.getUint32(at + INTERFACE_ID, true)
  }

  setInterfaceId(view: DataView, at: number, interfaceId: number): void {
    view.setUint32(at + INTERFACE_ID, interfaceId, true)
  }

  fileHeader(): Uint8Array {
    const body = new Uint8Array(16)
    const view = new DataView(body.buffer)
    view.setUint32(0, BYTE_ORDER_MAGIC, true)
    view.setUint16(4, 1, true)
    // Section length -1: not told, so the file may grow.
    view.setUint32(8, 0xffff_ffff, true)
    view.setUint32(12, 0xffff_ffff, true)
    return block(SECTION_HEADER, [body, textOption(SHB_USERAPPL, 'mirror-collector'), option(END_OF_OPTIONS)])
  }

  interfaceBlock(name: string, description: string, linkType: number = this.#linkType): Uint8Array {
    const body = new Uint8Array(8)
    const view = new DataView(body.buffer)
    view.setUint16(0, linkType, true)
    view.setUint32(4, this.snapLength, true)
    return block(INTERFACE_DESCRIPTION, [
      body,
      textOption(IF_NAME, name),
      textOption(IF_DESCRIPTION, description),
      option(IF_TSRESOL, Uint8Array.of(NANOSECOND_RESOLUTION)),
      option(END_OF_OPTIONS),
    ])
  }

  statisticsBlock(interfaceId: number, statistics: InterfaceStatistics): Uint8Array {
    const body = new Uint8Array(12)
    const view = new DataView(body.buffer)
    view.setUint32(0, interfaceId, true)
    writeTime(view, 4, statistics.endSeconds, statistics.endNanoseconds)
    return block(INTERFACE_STATISTICS, [
      body,
      timeOption(ISB_STARTTIME, statistics.startSeconds, statistics.startNanoseconds),
      timeOption(ISB_ENDTIME, statistics.endSeconds, statistics.endNanoseconds),
      countOption(ISB_IFRECV, statistics.received),
      countOption(ISB_IFDROP, statistics.dropped),
      countOption(ISB_OSDROP, statistics.kernelDropped),
      option(END_OF_OPTIONS),
    ])
  }
}

/** All options of a packet that has a comment and nothing else (opt_comment, section 3.5); a multiple of 4 bytes. */
export function commentOption(comment: string): Uint8Array {
  return Uint8Array.of(...textOption(OPT_COMMENT, comment), ...option(END_OF_OPTIONS))
}

function padded(length: number): number {
  return (length + 3) & ~3
}

/** Nanoseconds since 1970 as two 32-bit halves, the upper one first (section 4.3). */
function writeTime(view: DataView, at: number, seconds: number, nanoseconds: number): void {
  const low = (Math.imul(seconds, NANOSECONDS) + nanoseconds) >>> 0
  // The sum needs 62 bits, of which a double keeps 53: it is off by 256 at most, which is far from half of 2^32.
  const high = (seconds * NANOSECONDS + nanoseconds - low) / 2 ** 32 + 0.5
  view.setUint32(at, high | 0, true)
  view.setUint32(at + 4, low, true)
}

function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  let length = BODY + TRAILER_BYTES
  for (const part of parts) length += part.length
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, type, true)
  view.setUint32(BLOCK_LENGTH, length, true)
  let at = BODY
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  view.setUint32(at, length, true)
  return bytes
}

function option(code: number, value: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(4 + padded(value.length))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, code, true)
  view.setUint16(2, value.length, true)
  bytes.set(value, 4)
  return bytes
}

function textOption(code: number, text: string): Uint8Array {
  const room = new Uint8Array(MAXIMUM_TEXT_BYTES)
  return option(code, room.subarray(0, new TextEncoder().encodeInto(text, room).written))
}

function timeOption(code: number, seconds: number, nanoseconds: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8))
  writeTime(view, 0, seconds, nanoseconds)
  return option(code, new Uint8Array(view.buffer))
}

function countOption(code: number, count: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8))
  view.setUint32(0, count % 0x1_0000_0000, true)
  view.setUint32(4, Math.floor(count / 0x1_0000_0000), true)
  return option(code, new Uint8Array(view.buffer))
}
