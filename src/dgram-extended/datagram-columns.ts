/**
 * Where a receive call tells about its datagrams: one column per field, row i is datagram i.
 * Rows are overwritten by the next call. Times count from 1970; `seconds` is unsigned, good until 2106.
 */
export interface DatagramColumns {
  /** Where the datagram starts, counted from the start of the whole memory that the arena is a part of. */
  readonly offset: Uint32Array
  /** Bytes of it that are present from there on. */
  readonly captured: Uint32Array
  /** Bytes it had on the wire: more than `captured` when the kernel cut it. */
  readonly wireLength: Uint32Array
  /** Time of arrival, whole seconds. */
  readonly seconds: Uint32Array
  /** Time of arrival, nanoseconds within the second. */
  readonly nanoseconds: Uint32Array
}

/** Gives row i a time of the clock, in whole milliseconds since 1970. */
export function stamp(columns: DatagramColumns, i: number, milliseconds: number): void {
  columns.seconds[i] = Math.floor(milliseconds / 1000)
  columns.nanoseconds[i] = (milliseconds % 1000) * 1_000_000
}
