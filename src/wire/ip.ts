import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from './ether-type.ts'
import { uint16, uint32 } from './read.ts'
import { BAD_OUTER, OK, UNKNOWN_ENCAPSULATION, type Verdict } from './verdict.ts'

/** RFC 791 section 3.1. */
const IPV4_HEADER_BYTES = 20
const IPV4_TOTAL_LENGTH = 2
const IPV4_ID = 4
const IPV4_FRAGMENT = 6
const IPV4_PROTOCOL = 9
const IPV4_SOURCE = 12
const IPV4_MORE_FRAGMENTS = 0x2000

/** RFC 8200 section 3. */
const IPV6_HEADER_BYTES = 40
const IPV6_PAYLOAD_LENGTH = 4
const IPV6_NEXT_HEADER = 6
const IPV6_SOURCE = 8

const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const AUTHENTICATION = 51
const DESTINATION_OPTIONS = 60
const FRAGMENT_HEADER_BYTES = 8

/**
 * Reads an outer IPv4 or IPv6 header with its extension headers. The fields hold what the last decode() found.
 *
 * A total length of 0 is what Linux writes on packets above 64 KiB (BIG TCP): the wire length then has the say.
 */
export class IpHeader {
  /** Bytes of all IP headers, extension headers included. */
  headerBytes = 0
  /** The payload's length as the header states it, which a capture that was cut may not hold in full. */
  payloadWireLength = 0
  /** Protocol number of the payload. */
  protocol = 0
  /** Where the source address starts in `bytes`; the destination follows it. */
  sourceAt = 0
  /** 4 or 16. */
  addressBytes = 0
  isFragment = false
  /** Identification, of all the pieces of one datagram. */
  fragmentId = 0
  /** Where this piece's payload belongs in the datagram's payload, in bytes. */
  fragmentOffset = 0
  moreFragments = false

  decode(bytes: Uint8Array, offset: number, captured: number, wireLength: number, etherType: number): Verdict {
    this.isFragment = false
    if (etherType === ETHERTYPE_IPV4) return this.#ipv4(bytes, offset, captured, wireLength)
    if (etherType === ETHERTYPE_IPV6) return this.#ipv6(bytes, offset, captured, wireLength)
    return UNKNOWN_ENCAPSULATION
  }

  #ipv4(bytes: Uint8Array, offset: number, captured: number, wireLength: number): Verdict {
    if (captured < IPV4_HEADER_BYTES) return BAD_OUTER
    const headerBytes = (bytes[offset]! & 0x0f) * 4
    if (bytes[offset]! >> 4 !== 4 || headerBytes < IPV4_HEADER_BYTES || captured < headerBytes) return BAD_OUTER
    const stated = uint16(bytes, offset + IPV4_TOTAL_LENGTH)
    const totalLength = stated === 0 ? wireLength : stated
    if (totalLength < headerBytes) return BAD_OUTER
    const fragment = uint16(bytes, offset + IPV4_FRAGMENT)
    this.headerBytes = headerBytes
    this.payloadWireLength = totalLength - headerBytes
    this.protocol = bytes[offset + IPV4_PROTOCOL]!
    this.sourceAt = offset + IPV4_SOURCE
    this.addressBytes = 4
    this.moreFragments = (fragment & IPV4_MORE_FRAGMENTS) !== 0
    this.fragmentOffset = (fragment & 0x1fff) * 8
    this.isFragment = this.moreFragments || this.fragmentOffset !== 0
    this.fragmentId = uint16(bytes, offset + IPV4_ID)
    return OK
  }

  #ipv6(bytes: Uint8Array, offset: number, captured: number, wireLength: number): Verdict {
    if (captured < IPV6_HEADER_BYTES || bytes[offset]! >> 4 !== 6) return BAD_OUTER
    const stated = uint16(bytes, offset + IPV6_PAYLOAD_LENGTH)
    const end = stated === 0 ? wireLength : IPV6_HEADER_BYTES + stated
    this.sourceAt = offset + IPV6_SOURCE
    this.addressBytes = 16
    let next = bytes[offset + IPV6_NEXT_HEADER]!
    let at = IPV6_HEADER_BYTES
    // RFC 8200 section 4: each extension header names its successor; all but fragment's give their own length.
    for (;;) {
      if (next === FRAGMENT) {
        if (captured < at + FRAGMENT_HEADER_BYTES) return BAD_OUTER
        this.#fragmentHeader(bytes, offset + at)
        next = bytes[offset + at]!
        at += FRAGMENT_HEADER_BYTES
        // What follows the header of a later piece is data, not another header.
        if (this.fragmentOffset !== 0) break
      } else if (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS || next === AUTHENTICATION) {
        if (captured < at + 8) return BAD_OUTER
        const length = bytes[offset + at + 1]!
        // RFC 4302 section 2.2: the authentication header counts 4-byte words, minus 2.
        const headerBytes = next === AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8
        next = bytes[offset + at]!
        at += headerBytes
      } else break
    }
    if (at > end || at > captured) return BAD_OUTER
    this.headerBytes = at
    this.payloadWireLength = end - at
    this.protocol = next
    return OK
  }

  /** RFC 8200 section 4.5. A piece with offset 0 and no more to come is whole (RFC 6946). */
  #fragmentHeader(bytes: Uint8Array, at: number): void {
    const offsetAndFlags = uint16(bytes, at + 2)
    this.fragmentOffset = offsetAndFlags & 0xfff8
    this.moreFragments = (offsetAndFlags & 1) !== 0
    this.isFragment = this.moreFragments || this.fragmentOffset !== 0
    this.fragmentId = uint32(bytes, at + 4)
  }
}
