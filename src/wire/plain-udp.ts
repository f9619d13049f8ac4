import { IPPROTO_UDP, UDP_HEADER_BYTES } from './udp.ts'

/** RFC 791 section 3.1: version 4, five words of header. */
const IPV4_WITHOUT_OPTIONS = 0x45
const IPV4_HEADER_BYTES = 20
const TOTAL_LENGTH = 2
/** More fragments and fragment offset; in the same word the time to live, and the protocol. */
const FRAGMENT = 6
const FRAGMENT_AND_PROTOCOL = 0x3fff_00ff
/** RFC 768, behind it. */
const PORT_AND_LENGTH = 22

export const PLAIN_HEADER_BYTES: number = IPV4_HEADER_BYTES + UDP_HEADER_BYTES
export const PLAIN_SOURCE = 12

/**
 * The destination port and, in the lower 16 bits, the length of a UDP datagram as nearly all are: in an IPv4 packet without
 * options that is no fragment, with lengths that fit each other and `wireLength`. 0 says nothing but that it is another packet.
 */
export function plainUdp(view: DataView, at: number, captured: number, wireLength: number): number {
  if (captured < PLAIN_HEADER_BYTES) return 0
  if ((view.getUint32(at + FRAGMENT) & FRAGMENT_AND_PROTOCOL) !== IPPROTO_UDP) return 0
  if (view.getUint8(at) !== IPV4_WITHOUT_OPTIONS) return 0
  const portAndLength = view.getUint32(at + PORT_AND_LENGTH)
  const length = portAndLength & 0xffff
  const totalLength = view.getUint16(at + TOTAL_LENGTH)
  if (length < UDP_HEADER_BYTES || length + IPV4_HEADER_BYTES > totalLength || totalLength > wireLength) return 0
  return portAndLength
}
