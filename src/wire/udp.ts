import { uint16 } from './read.ts'
import { BAD_OUTER, OK, type Verdict } from './verdict.ts'

/** RFC 768. */
export const UDP_HEADER_BYTES = 8
export const IPPROTO_UDP = 17
const DESTINATION_PORT = 2
const LENGTH = 4

/** Reads an outer UDP header. The fields hold what the last decode() found. */
export class UdpHeader {
  destinationPort = 0
  /** The payload's length as the header states it. */
  payloadWireLength = 0

  /** `wireLength` is the IP payload's length. A UDP length of 0 means a jumbogram (RFC 2675) or BIG TCP: all of it. */
  decode(bytes: Uint8Array, offset: number, captured: number, wireLength: number): Verdict {
    if (captured < UDP_HEADER_BYTES) return BAD_OUTER
    const stated = uint16(bytes, offset + LENGTH)
    const length = stated === 0 ? wireLength : stated
    if (length < UDP_HEADER_BYTES || length > wireLength) return BAD_OUTER
    this.destinationPort = uint16(bytes, offset + DESTINATION_PORT)
    this.payloadWireLength = length - UDP_HEADER_BYTES
    return OK
  }
}
