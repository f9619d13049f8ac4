import { uint16 } from './read.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD, type Verdict } from './verdict.ts'

/** GRE protocol types, draft-foschiano-erspan-03 section 4. */
export const PROTOCOL_ERSPAN_II = 0x88be
export const PROTOCOL_ERSPAN_III = 0x22eb

const TYPE_II_BYTES = 8
const TYPE_III_BYTES = 12
const PLATFORM_SUBHEADER_BYTES = 8

const VERSION_TYPE_II = 1
const VERSION_TYPE_III = 2
const SESSION = 2
const SESSION_MASK = 0x3ff
const LAST_BYTE = 11
/** "FT": what kind of frame follows; 0 is Ethernet. Five bits behind the P bit of byte 10. */
const FRAME_TYPE_AT = 10
const FLAG_SUBHEADER = 0x01

/** Reads the ERSPAN header behind GRE's. The fields hold what the last decode() found. */
export class ErspanHeader {
  headerBytes = 0
  session = 0

  /** Type I has no header of its own, and GRE then no sequence number: that is for the caller to tell. */
  decodeTypeII(bytes: Uint8Array, offset: number, captured: number): Verdict {
    if (captured < TYPE_II_BYTES) return SHORT_HEADER
    if (bytes[offset]! >> 4 !== VERSION_TYPE_II) return BAD_FLAGS
    this.headerBytes = TYPE_II_BYTES
    this.session = sessionAt(bytes, offset)
    return OK
  }

  decodeTypeIII(bytes: Uint8Array, offset: number, captured: number): Verdict {
    if (captured < TYPE_III_BYTES) return SHORT_HEADER
    if (bytes[offset]! >> 4 !== VERSION_TYPE_III) return BAD_FLAGS
    const hasSubheader = (bytes[offset + LAST_BYTE]! & FLAG_SUBHEADER) !== 0
    const headerBytes = TYPE_III_BYTES + (hasSubheader ? PLATFORM_SUBHEADER_BYTES : 0)
    if (captured < headerBytes) return SHORT_HEADER
    if (((bytes[offset + FRAME_TYPE_AT]! >> 2) & 0x1f) !== 0) return UNKNOWN_PAYLOAD
    this.headerBytes = headerBytes
    this.session = sessionAt(bytes, offset)
    return OK
  }
}

function sessionAt(bytes: Uint8Array, offset: number): number {
  return uint16(bytes, offset + SESSION) & SESSION_MASK
}
