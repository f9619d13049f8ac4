/** Reversed polynomials: Castagnoli's of RFC 9260 appendix A, and that of IEEE 802.3. */
const CASTAGNOLI = 0x82f63b78
const IEEE_802_3 = 0xedb88320
/** Tables for four bytes at a time. */
const TABLES = 4

const castagnoli: readonly Int32Array[] = makeTables(CASTAGNOLI)
const ieee: readonly Int32Array[] = makeTables(IEEE_802_3)

/**
 * CRC32c of bytes [start, start + length) as SCTP has it; the four bytes at `hole` count as zeroes, being where the
 * checksum itself will stand. Unsigned.
 */
export function crc32c(bytes: Uint8Array, start: number, length: number, hole: number): number {
  let crc = update(castagnoli, bytes, start, hole, -1)
  for (let i = 0; i < 4; i++) crc = castagnoli[0]![crc & 0xff]! ^ (crc >>> 8)
  crc = update(castagnoli, bytes, hole + 4, start + length, crc)
  return ~crc >>> 0
}

/** CRC32 of bytes [start, end) as an Ethernet frame check sequence has it: sent with its lowest byte first. Unsigned. */
export function crc32(bytes: Uint8Array, start: number, end: number): number {
  return ~update(ieee, bytes, start, end, -1) >>> 0
}

function update(tables: readonly Int32Array[], bytes: Uint8Array, start: number, end: number, initial: number): number {
  const t0 = tables[0]!
  const t1 = tables[1]!
  const t2 = tables[2]!
  const t3 = tables[3]!
  let crc = initial
  let at = start
  for (; at + 4 <= end; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc = t3[crc & 0xff]! ^ t2[(crc >>> 8) & 0xff]! ^ t1[(crc >>> 16) & 0xff]! ^ t0[crc >>> 24]!
  }
  for (; at < end; at++) crc = t0[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8)
  return crc
}

function makeTables(polynomial: number): Int32Array[] {
  const made = Array.from({ length: TABLES }, () => new Int32Array(256))
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ polynomial : crc >>> 1
    made[0]![byte] = crc
  }
  for (let table = 1; table < TABLES; table++) {
    for (let byte = 0; byte < 256; byte++) {
      const crc = made[table - 1]![byte]!
      made[table]![byte] = made[0]![crc & 0xff]! ^ (crc >>> 8)
    }
  }
  return made
}
