const MAGIC_MICROSECONDS = 0xa1b2c3d4
const MAGIC_NANOSECONDS = 0xa1b23c4d
const LINKTYPE_ETHERNET = 1
/** Ethernet, IPv4 without options, UDP. */
const OUTER_BYTES = 14 + 20 + 8

export interface OuterCaptureOptions {
  readonly bigEndian?: boolean
  readonly nanoseconds?: boolean
  readonly port?: number
}

/** Seconds of packet i in an outer capture. */
export const FIRST_SECOND = 1_700_000_000

/**
 * A classic pcap file, laid out by hand after draft-gharris-opsawg-pcap: each datagram in UDP, IPv4 and Ethernet, packet i
 * at second FIRST_SECOND + i and 123 456 microseconds (789 nanoseconds more where the file has them).
 */
export function outerCapture(datagrams: readonly Uint8Array[], options: OuterCaptureOptions = {}): Buffer {
  const { bigEndian = false, nanoseconds = false, port = 4789 } = options
  const words = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(4 * values.length)
    for (const [i, value] of values.entries()) {
      if (bigEndian) bytes.writeUInt32BE(value, 4 * i)
      else bytes.writeUInt32LE(value, 4 * i)
    }
    return bytes
  }
  const version = bigEndian ? 0x0002_0004 : 0x0004_0002
  const magic = nanoseconds ? MAGIC_NANOSECONDS : MAGIC_MICROSECONDS
  const parts = [words(magic, version, 0, 0, 262_144, LINKTYPE_ETHERNET)]
  for (const [i, datagram] of datagrams.entries()) {
    const bytes = OUTER_BYTES + datagram.length
    const fraction = nanoseconds ? 123_456_789 : 123_456
    parts.push(
      words(FIRST_SECOND + i, fraction, bytes, bytes),
      outerHeaders(datagram.length, port),
      Buffer.from(datagram),
    )
  }
  return Buffer.concat(parts)
}

/** From 192.0.2.1 to 192.0.2.2; the checksums are left at 0, as where the network card fills them in. */
function outerHeaders(payloadBytes: number, port: number): Buffer {
  const hex = (value: number): string => value.toString(16).padStart(4, '0')
  const ethernet = '0200000000020200000000010800'
  const ipv4 = `4500${hex(28 + payloadBytes)}0000400040110000c0000201c0000202`
  return Buffer.from(`${ethernet}${ipv4}c000${hex(port)}${hex(8 + payloadBytes)}0000`, 'hex')
}
