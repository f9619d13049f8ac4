// draft-ietf-opsawg-pcap section 5: the header of a record.
const SECONDS: usize = 0
const FRACTION: usize = 4
const CAPTURED: usize = 8
const WIRE_LENGTH: usize = 12
const HEADER_BYTES: u32 = 16

/**
 * Lays frames out as records of a pcap file, side by side from `start` on: those whose rows are the numbers `from` to `count` of `rows`,
 * as far as they end before `limit`; the first in any case. `unit`: nanoseconds in that of a record's fraction.
 * Words of `ending`: where the last one ends, and the first and last second there are.
 * @returns the number of the first that was left
 */
export function layRecords(
  rows: usize,
  from: u32,
  count: u32,
  offset: usize,
  captured: usize,
  wireLength: usize,
  seconds: usize,
  nanoseconds: usize,
  unit: u32,
  start: usize,
  limit: usize,
  ending: usize,
): u32 {
  let at = start
  let first = u32.MAX_VALUE
  let last: u32 = 0
  let i = from
  for (; i < count; i++) {
    const column = (load<u16>(rows + ((i as usize) << 1)) as usize) << 2
    const bytes = load<u32>(captured + column)
    const end = at + HEADER_BYTES + bytes
    if (i > from && end > limit) break
    const second = load<u32>(seconds + column)
    const fraction = load<u32>(nanoseconds + column)
    store<u32>(at + SECONDS, second)
    store<u32>(at + FRACTION, unit === 1 ? fraction : fraction / unit)
    store<u32>(at + CAPTURED, bytes)
    store<u32>(at + WIRE_LENGTH, load<u32>(wireLength + column))
    copy(at + HEADER_BYTES, load<u32>(offset + column), bytes)
    if (second < first) first = second
    if (second > last) last = second
    at = end
  }
  store<u32>(ending, at as u32)
  store<u32>(ending, first, 4)
  store<u32>(ending, last, 8)
  return i
}

/** Beyond so many bytes the call that memory.copy is (V8 11.3) pays. */
const SHORT_BYTES: u32 = 80
const WORD_BYTES: u32 = 8

/** Of ranges that do not overlap. No vectors: there are processors without what WebAssembly's need, and nothing would start there. */
function copy(to: usize, from: usize, bytes: u32): void {
  if (bytes < WORD_BYTES || bytes > SHORT_BYTES) {
    memory.copy(to, from, bytes)
    return
  }
  const last = (bytes - WORD_BYTES) as usize
  for (let i: usize = 0; i < last; i += WORD_BYTES) store<u64>(to + i, load<u64>(from + i))
  store<u64>(to + last, load<u64>(from + last))
}

/** Of `count` numbers. */
export function sum(column: usize, count: u32): f64 {
  let total: u64 = 0
  const end = column + ((count as usize) << 2)
  for (let at = column; at < end; at += 4) total += load<u32>(at)
  return total as f64
}
