import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, IS_ETHERNET } from './ether-type.ts'
import { uint16, uint32 } from './read.ts'
import { type TunnelNotes, UPPER_SECONDS, UPPER_WORD } from './tunnel-notes.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD, type Verdict } from './verdict.ts'

/** GRE protocol types, draft-foschiano-erspan-03 section 4. */
export const PROTOCOL_ERSPAN_II = 0x88be
export const PROTOCOL_ERSPAN_III = 0x22eb

const TYPE_II_BYTES = 8
const TYPE_III_BYTES = 12
const PLATFORM_SUBHEADER_BYTES = 8

const VERSION_TYPE_II = 1
const VERSION_TYPE_III = 2
const VLAN_MASK = 0x0fff
/** Class of service, then type II's "En" (type III has "BSO" there), "T", session. */
const SECOND = 2
const COS_MASK = 0xe000
const EN_MASK = 0x1800
/**
 * The trunk's 802.1Q tag was taken out; 0 = there was none, 1 = ISL, 3 = it is in the frame still. Type III has no such
 * bits, and its VLAN, that of the port or of a tag, says nothing of it: Linux writes the VLAN of the tag that it leaves in
 * the frame (erspan_build_header_v2). A tag made of it would be one too many, so none is.
 */
const EN_8021Q = 0x1000
const FLAG_CUT = 0x0400
const SESSION_MASK = 0x3ff

const TIMESTAMP = 4
const LAST_BYTE = 11
/** "FT": what kind of frame follows. Five bits behind the P bit of byte 10. */
const FRAME_TYPE_AT = 10
const FRAME_TYPE_ETHERNET = 0
const FRAME_TYPE_IP = 2
const FLAG_SUBHEADER = 0x01
/** The word of a platform sub-header that may hold time. */
const PLATFORM_TIME = 4

/** Reads the ERSPAN header behind GRE's. The fields hold what the last decode() found. */
export class ErspanHeader {
  headerBytes = 0
  session = 0
  /** As Decapsulator has it. */
  etherType: number = IS_ETHERNET

  /** Type I has no header of its own, and GRE then no sequence number: that is for the caller to tell. */
  decodeTypeII(bytes: Uint8Array, offset: number, captured: number, notes: TunnelNotes): Verdict {
    if (captured < TYPE_II_BYTES) return SHORT_HEADER
    if (bytes[offset]! >> 4 !== VERSION_TYPE_II) return BAD_FLAGS
    this.headerBytes = TYPE_II_BYTES
    this.etherType = IS_ETHERNET
    this.#common(bytes, offset, notes)
    const second = uint16(bytes, offset + SECOND)
    if ((second & EN_MASK) === EN_8021Q) notes.tag = (second & COS_MASK) | (uint16(bytes, offset) & VLAN_MASK)
    return OK
  }

  decodeTypeIII(bytes: Uint8Array, offset: number, captured: number, notes: TunnelNotes): Verdict {
    if (captured < TYPE_III_BYTES) return SHORT_HEADER
    if (bytes[offset]! >> 4 !== VERSION_TYPE_III) return BAD_FLAGS
    const last = bytes[offset + LAST_BYTE]!
    const hasSubheader = (last & FLAG_SUBHEADER) !== 0
    const headerBytes = TYPE_III_BYTES + (hasSubheader ? PLATFORM_SUBHEADER_BYTES : 0)
    if (captured < headerBytes) return SHORT_HEADER
    const frameType = (bytes[offset + FRAME_TYPE_AT]! >> 2) & 0x1f
    if (frameType === FRAME_TYPE_ETHERNET) this.etherType = IS_ETHERNET
    else if (frameType !== FRAME_TYPE_IP || !this.#isIp(bytes, offset + headerBytes, captured - headerBytes)) {
      return UNKNOWN_PAYLOAD
    }
    this.headerBytes = headerBytes
    this.#common(bytes, offset, notes)
    notes.granularity = (last >> 1) & 0x03
    notes.time = uint32(bytes, offset + TIMESTAMP)
    if (hasSubheader) platformTime(bytes, offset + TYPE_III_BYTES, notes)
    return OK
  }

  #common(bytes: Uint8Array, offset: number, notes: TunnelNotes): void {
    const second = uint16(bytes, offset + SECOND)
    this.session = second & SESSION_MASK
    notes.clear()
    notes.isCut = (second & FLAG_CUT) !== 0
  }

  #isIp(bytes: Uint8Array, at: number, captured: number): boolean {
    const version = captured > 0 ? bytes[at]! >> 4 : 0
    this.etherType = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6
    return version === 4 || version === 6
  }
}

/**
 * The sub-headers that continue the time stamp: 3 and 7 with its upper bits, 5 and 6 with seconds (section 4.4). Some
 * devices write 0 for 7, says Wireshark's packet-erspan.c.
 */
function platformTime(bytes: Uint8Array, at: number, notes: TunnelNotes): void {
  const platform = bytes[at]! >> 2
  if (platform === 3 || platform === 7 || platform === 0) notes.upper = UPPER_WORD
  else if (platform === 5 || platform === 6) notes.upper = UPPER_SECONDS
  notes.upperTime = uint32(bytes, at + PLATFORM_TIME)
}
