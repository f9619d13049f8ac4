import {
  checkedSnapLength,
  ETHERNET,
  MAXIMUM_SNAP_LENGTH,
  type RecordColumns,
  type RecordFormat,
} from './record-format.ts'

/** draft-ietf-opsawg-pcap section 4: the magic number also tells the unit of the fractions of a second. */
const MAGIC_MICROSECONDS = 0xa1b2c3d4
const MAGIC_NANOSECONDS = 0xa1b23c4d
const FILE_HEADER_BYTES = 24
const VERSION_MAJOR = 4
const VERSION_MINOR = 6
const SNAP_LENGTH = 16
const LINK_TYPE = 20

/** Section 5: the record's header. */
const RECORD_HEADER_BYTES = 16
const SECONDS = 0
const FRACTION = 4
const CAPTURED = 8
const WIRE_LENGTH = 12

const EMPTY = new Uint8Array(0)

/** Settings of {@link PcapFormat}. */
export interface PcapFormatOptions {
  /** Unit of the fractions of a second; `ns` by default, `us` for readers of before 2012. */
  readonly precision?: 'ns' | 'us'
  /** LINKTYPE_ value of every frame; Ethernet by default. */
  readonly linkType?: number
  /** 1 to 262144, which is the default. */
  readonly snapLength?: number
}

/** The classic format: one header, then records of one link type. */
export class PcapFormat implements RecordFormat {
  readonly name = 'pcap'
  readonly headerBytes = RECORD_HEADER_BYTES
  readonly hasInterfaces = false
  readonly snapLength: number
  readonly #linkType: number
  /** Nanoseconds in the unit of the fraction. */
  readonly pcapUnit: number
  /** Rounded down, exact for all nanoseconds of a second. */
  readonly #perNanosecond: number

  constructor(options: PcapFormatOptions = {}) {
    this.snapLength = checkedSnapLength(options.snapLength ?? MAXIMUM_SNAP_LENGTH)
    this.#linkType = options.linkType ?? ETHERNET
    this.pcapUnit = options.precision === 'us' ? 1000 : 1
    this.#perNanosecond = 1 / this.pcapUnit
  }

  recordBytes(captured: number): number {
    return RECORD_HEADER_BYTES + captured
  }

  writeRecord(view: DataView, at: number, columns: RecordColumns, row: number, _interfaceId: number): void {
    // Read before the first is written: a write makes the compiler look up the columns again.
    const seconds = columns.seconds[row]!
    const fraction = (columns.nanoseconds[row]! * this.#perNanosecond) >>> 0
    const captured = columns.captured[row]!
    const wireLength = columns.wireLength[row]!
    view.setUint32(at + SECONDS, seconds, true)
    view.setUint32(at + FRACTION, fraction, true)
    view.setUint32(at + CAPTURED, captured, true)
    view.setUint32(at + WIRE_LENGTH, wireLength, true)
  }

  lengthAt(view: DataView, at: number): number {
    return RECORD_HEADER_BYTES + view.getUint32(at + CAPTURED, true)
  }

  secondsAt(view: DataView, at: number): number {
    return view.getUint32(at + SECONDS, true)
  }

  nanosecondsAt(view: DataView, at: number): number {
    return view.getUint32(at + FRACTION, true) * this.pcapUnit
  }

  interfaceIdAt(_view: DataView, _at: number): number {
    return 0
  }

  setInterfaceId(_view: DataView, _at: number, _interfaceId: number): void {}

  fileHeader(): Uint8Array {
    const view = new DataView(new ArrayBuffer(FILE_HEADER_BYTES))
    view.setUint32(0, this.pcapUnit === 1 ? MAGIC_NANOSECONDS : MAGIC_MICROSECONDS, true)
    view.setUint16(VERSION_MAJOR, 2, true)
    view.setUint16(VERSION_MINOR, 4, true)
    view.setUint32(SNAP_LENGTH, this.snapLength, true)
    view.setUint32(LINK_TYPE, this.#linkType, true)
    return new Uint8Array(view.buffer)
  }

  interfaceBlock(): Uint8Array {
    return EMPTY
  }

  statisticsBlock(): Uint8Array {
    return EMPTY
  }
}
