/** The per-frame columns that go into a record's header; row i is frame i. */
export interface RecordColumns {
  /** Bytes of the frame that are kept; at most the format's snap length. */
  readonly captured: Uint32Array
  /** Bytes the frame had on the wire. */
  readonly wireLength: Uint32Array
  /** Whole seconds since 1970. */
  readonly seconds: Uint32Array
  /** Nanoseconds within the second, 0 to 999 999 999. */
  readonly nanoseconds: Uint32Array
}

/** What a statistics block says about one interface of one file. */
export interface InterfaceStatistics {
  /** Time of the interface's first record in the file. */
  readonly startSeconds: number
  readonly startNanoseconds: number
  /** Time of its last record in the file. */
  readonly endSeconds: number
  readonly endNanoseconds: number
  /** Frames received (isb_ifrecv). */
  readonly received: number
  /** Frames dropped by this program (isb_ifdrop). */
  readonly dropped: number
  /** Frames dropped by the kernel before this program saw them (isb_osdrop). */
  readonly kernelDropped: number
}

/** A capture file format, little endian: how records, and the blocks around them, are laid out. Stateless. */
export interface RecordFormat {
  readonly name: 'pcap' | 'pcapng'
  /** Bytes of a record in front of its frame. */
  readonly headerBytes: number
  /** Snap length in the file's header. Readers cut longer records to it, so `captured` must not exceed it. */
  readonly snapLength: number
  /** Whether records name an interface that a block earlier in the file has to describe. */
  readonly hasInterfaces: boolean
  /** Of pcap's records: nanoseconds in the unit of their fraction. Absent = the records are others. */
  readonly pcapUnit?: number
  /** Length of a whole record that keeps `captured` bytes, with padding and trailer. */
  recordBytes(captured: number): number
  /** Writes all of a record but its frame, which the caller copies to `at + headerBytes`. Allocates nothing. */
  writeRecord(view: DataView, at: number, columns: RecordColumns, row: number, interfaceId: number): void
  /** Length of the whole record that starts at `at`. */
  lengthAt(view: DataView, at: number): number
  /** Whole seconds of the record that starts at `at`. */
  secondsAt(view: DataView, at: number): number
  /** Nanoseconds within that second. */
  nanosecondsAt(view: DataView, at: number): number
  /** Interface the record at `at` names; 0 where the format has no interfaces. */
  interfaceIdAt(view: DataView, at: number): number
  /** Makes the record at `at` name another interface; does nothing where the format has no interfaces. */
  setInterfaceId(view: DataView, at: number, interfaceId: number): void
  /** What every file starts with. */
  fileHeader(): Uint8Array
  /** Describes the next interface of a file (ids count from 0), of the format's link type unless another is given; empty where the format has no interfaces. */
  interfaceBlock(name: string, description: string, linkType?: number): Uint8Array
  /** Closes an interface's account at the end of a file; always the same length. Empty where the format has no interfaces. */
  statisticsBlock(interfaceId: number, statistics: InterfaceStatistics): Uint8Array
}

/** LINKTYPE_ETHERNET. */
export const ETHERNET = 1

/** MAXIMUM_SNAPLEN of libpcap and WTAP_MAX_PACKET_SIZE_STANDARD of Wireshark: both refuse an Ethernet record that is longer. */
export const MAXIMUM_SNAP_LENGTH = 262_144

/** Returns `snapLength` if a reader accepts it in a header. */
export function checkedSnapLength(snapLength: number): number {
  if (Number.isInteger(snapLength) && snapLength >= 1 && snapLength <= MAXIMUM_SNAP_LENGTH) return snapLength
  throw new RangeError(
    `Snap length ${snapLength} is not between 1 and ${MAXIMUM_SNAP_LENGTH}.\nLeave it out to keep whole frames.`,
  )
}

/** Number of records in [start, end), which holds whole records only. */
export function countRecords(format: RecordFormat, view: DataView, start: number, end: number): number {
  let records = 0
  for (let at = start; at < end; at += format.lengthAt(view, at)) records++
  return records
}

/** Start of the first record in [start, end) that would end behind `limit`; `end` if there is none. */
export function recordsBefore(format: RecordFormat, view: DataView, start: number, end: number, limit: number): number {
  let at = start
  while (at < end) {
    const next = at + format.lengthAt(view, at)
    if (next > limit) return at
    at = next
  }
  return end
}

/** Start of the first record in [start, end) whose time is at or past `second`; `end` if there is none. */
export function recordsUntil(format: RecordFormat, view: DataView, start: number, end: number, second: number): number {
  let at = start
  while (at < end && format.secondsAt(view, at) < second) at += format.lengthAt(view, at)
  return at
}
