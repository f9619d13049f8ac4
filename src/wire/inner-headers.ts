import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, isVlanTag, VLAN_TAG_BYTES } from './ether-type.ts'
import { ETHERNET_HEADER_BYTES } from './link.ts'
import { LINKTYPE_ETHERNET } from './link-type.ts'
import { uint16, uint32 } from './read.ts'

const ETHERTYPE_AT = 12

/** RFC 791 section 3.1. */
const IPV4_HEADER_BYTES = 20
/** Version 4, five words of header. */
const IPV4_WITHOUT_OPTIONS = 0x45
const IPV4_TOTAL_LENGTH = 2
const IPV4_FRAGMENT = 6
const IPV4_PROTOCOL = 9
const IPV4_MORE_FRAGMENTS = 0x2000
const IPV4_FRAGMENT_OFFSET = 0x1fff

/** RFC 8200 section 3. */
const IPV6_HEADER_BYTES = 40
const IPV6_PAYLOAD_LENGTH = 4
const IPV6_NEXT_HEADER = 6
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const AUTHENTICATION = 51
const DESTINATION_OPTIONS = 60
const EXTENSION_BYTES = 8
const SEGMENTS_LEFT = 3
const FRAGMENT_OFFSET = 0xfff8
const FRAGMENT_MORE = 0x0001

/** RFC 2675 section 2: an option of the hop-by-hop header that tells the length where 16 bits cannot. */
const OPTION_PAD1 = 0
const OPTION_JUMBO = 0xc2
/** Larger ones are lies: it is more than capture files hold, and than BIG TCP makes. */
const LARGEST_JUMBO = 262_144

/** RFC 826, for Ethernet and IPv4. */
const ARP_BYTES = 28

export const PROTOCOL_UNKNOWN = -1

/**
 * Walks the headers of a mirrored frame as far as its bytes reach. What was mirrored may be cut anywhere, and wrong: that
 * is no error here, only the end of what is known. Places count from the frame's start and never exceed `captured`.
 */
export class InnerHeaders {
  /** Where the link header with its VLAN tags ends. */
  networkAt = 0
  /** Behind the link header; 0 where it was cut off. */
  etherType = 0
  /** Where the network headers end, extension headers included; `networkAt` where there are none. */
  transportAt = 0
  /** What the IP headers say follows them; PROTOCOL_UNKNOWN behind a header that is cut, is wrong or is not IP's. */
  protocol: number = PROTOCOL_UNKNOWN
  /** Where the IP packet ends, as its length says, which may be behind `captured`; 0 where nothing says so. */
  statedEnd = 0
  isFragment = false
  /** The addresses are not yet those that the checksums cover: RFC 8200 section 8.1. */
  isRouted = false

  decode(bytes: Uint8Array, offset: number, captured: number, linkType: number): void {
    this.protocol = PROTOCOL_UNKNOWN
    this.statedEnd = 0
    this.isFragment = false
    this.isRouted = false
    if (linkType === LINKTYPE_ETHERNET) this.#ethernet(bytes, offset, captured)
    else this.#raw(bytes, offset, captured)
    this.transportAt = this.networkAt
    if (this.etherType === ETHERTYPE_IPV4) this.#ipv4(bytes, offset, captured)
    else if (this.etherType === ETHERTYPE_IPV6) this.#ipv6(bytes, offset, captured)
    else if (this.etherType === ETHERTYPE_ARP) this.transportAt = Math.min(captured, this.networkAt + ARP_BYTES)
  }

  /**
   * Bytes that the frame had on the wire as its IP header has it; 0 where nothing says so. A mirror that cuts frames
   * leaves this one trace of their length. Looks no further than it must: every frame comes through here.
   */
  lengthOnWire(bytes: Uint8Array, offset: number, captured: number, linkType: number): number {
    if (linkType === LINKTYPE_ETHERNET && captured >= ETHERNET_HEADER_BYTES + IPV6_NEXT_HEADER) {
      const etherType = uint16(bytes, offset + ETHERTYPE_AT)
      const at = offset + ETHERNET_HEADER_BYTES
      if (etherType === ETHERTYPE_IPV4 && bytes[at] === IPV4_WITHOUT_OPTIONS) {
        const totalLength = uint16(bytes, at + IPV4_TOTAL_LENGTH)
        return totalLength >= IPV4_HEADER_BYTES ? ETHERNET_HEADER_BYTES + totalLength : 0
      }
      if (etherType === ETHERTYPE_IPV6 && bytes[at]! >> 4 === 6) {
        const payloadLength = uint16(bytes, at + IPV6_PAYLOAD_LENGTH)
        if (payloadLength > 0) return ETHERNET_HEADER_BYTES + IPV6_HEADER_BYTES + payloadLength
      }
    }
    this.decode(bytes, offset, captured, linkType)
    return this.statedEnd
  }

  #ethernet(bytes: Uint8Array, offset: number, captured: number): void {
    this.etherType = 0
    this.networkAt = captured
    if (captured < ETHERNET_HEADER_BYTES) return
    let etherType = uint16(bytes, offset + ETHERTYPE_AT)
    let end = ETHERNET_HEADER_BYTES
    while (isVlanTag(etherType)) {
      if (captured < end + VLAN_TAG_BYTES) return
      etherType = uint16(bytes, offset + end + 2)
      end += VLAN_TAG_BYTES
    }
    this.networkAt = end
    this.etherType = etherType
  }

  #raw(bytes: Uint8Array, offset: number, captured: number): void {
    const version = captured > 0 ? bytes[offset]! >> 4 : 0
    this.networkAt = 0
    this.etherType = version === 4 ? ETHERTYPE_IPV4 : version === 6 ? ETHERTYPE_IPV6 : 0
  }

  #ipv4(bytes: Uint8Array, offset: number, captured: number): void {
    const start = this.networkAt
    const at = offset + start
    if (captured < start + 4 || bytes[at]! >> 4 !== 4) return
    const headerBytes = (bytes[at]! & 0x0f) * 4
    const totalLength = uint16(bytes, at + IPV4_TOTAL_LENGTH)
    if (headerBytes < IPV4_HEADER_BYTES) return
    if (totalLength >= headerBytes) this.statedEnd = start + totalLength
    this.transportAt = Math.min(captured, start + headerBytes)
    if (captured < start + headerBytes) return
    const fragment = uint16(bytes, at + IPV4_FRAGMENT)
    this.isFragment = (fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET)) !== 0
    // What follows the header of a later piece is data.
    if ((fragment & IPV4_FRAGMENT_OFFSET) === 0) this.protocol = bytes[at + IPV4_PROTOCOL]!
  }

  #ipv6(bytes: Uint8Array, offset: number, captured: number): void {
    const start = this.networkAt
    if (captured < start + IPV6_NEXT_HEADER || bytes[offset + start]! >> 4 !== 6) return
    const payloadLength = uint16(bytes, offset + start + IPV6_PAYLOAD_LENGTH)
    if (payloadLength > 0) this.statedEnd = start + IPV6_HEADER_BYTES + payloadLength
    this.transportAt = Math.min(captured, start + IPV6_HEADER_BYTES)
    if (captured < start + IPV6_HEADER_BYTES) return
    const next = bytes[offset + start + IPV6_NEXT_HEADER]!
    const at = start + IPV6_HEADER_BYTES
    if (payloadLength === 0 && next === HOP_BY_HOP) this.#jumbo(bytes, offset, captured, at)
    this.#extensions(bytes, offset, captured, at, next)
  }

  /** RFC 8200 section 4: each extension header names its successor; all but fragment's give their own length. */
  #extensions(bytes: Uint8Array, offset: number, captured: number, start: number, first: number): void {
    let next = first
    let at = start
    while (isExtension(next)) {
      const here = offset + at
      const header = next
      if (captured >= at + EXTENSION_BYTES) {
        const length = bytes[here + 1]!
        next = bytes[here]!
        // RFC 4302 section 2.2: the authentication header counts 4-byte words, minus 2.
        if (header === FRAGMENT) at += EXTENSION_BYTES
        else at += header === AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8
      } else at = captured + 1
      if (at > captured) {
        this.transportAt = captured
        return
      }
      if (header === ROUTING && bytes[here + SEGMENTS_LEFT] !== 0) this.isRouted = true
      if (header === FRAGMENT && this.#isLaterPiece(uint16(bytes, here + 2))) next = PROTOCOL_UNKNOWN
    }
    this.transportAt = at
    this.protocol = next
  }

  #isLaterPiece(fragment: number): boolean {
    if ((fragment & (FRAGMENT_OFFSET | FRAGMENT_MORE)) !== 0) this.isFragment = true
    return (fragment & FRAGMENT_OFFSET) !== 0
  }

  #jumbo(bytes: Uint8Array, offset: number, captured: number, start: number): void {
    if (captured < start + EXTENSION_BYTES) return
    const end = Math.min(captured, start + (bytes[offset + start + 1]! + 1) * 8)
    let at = start + 2
    while (at + 6 <= end) {
      const type = bytes[offset + at]!
      if (type === OPTION_JUMBO) {
        const length = uint32(bytes, offset + at + 2)
        if (length <= LARGEST_JUMBO) this.statedEnd = start + length
        return
      }
      at += type === OPTION_PAD1 ? 1 : 2 + bytes[offset + at + 1]!
    }
  }
}

function isExtension(next: number): boolean {
  return (
    next === HOP_BY_HOP ||
    next === ROUTING ||
    next === FRAGMENT ||
    next === AUTHENTICATION ||
    next === DESTINATION_OPTIONS
  )
}
