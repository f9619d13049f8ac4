import type { Decapsulator, Encapsulation } from './decapsulator.ts'
import { IS_ETHERNET } from './ether-type.ts'
import { uint16 } from './read.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD, type Verdict } from './verdict.ts'

/** TZSP (TaZmen Sniffer Protocol), version 1: version, type, encapsulated protocol, then tags until END. */
const HEADER_BYTES = 4
const VERSION = 1
const TYPE_RECEIVED = 0
const TYPE_TRANSMIT = 1
const PROTOCOL_ETHERNET = 1
const TAG_PADDING = 0
const TAG_END = 1

/** Takes off TZSP, which MikroTik's sniffer speaks. It has no tunnel identifier. */
export class TzspDecapsulator implements Decapsulator {
  readonly tunnelId: number = 0
  readonly etherType: number = IS_ETHERNET
  headerBytes = 0

  decode(bytes: Uint8Array, offset: number, captured: number): Verdict {
    if (captured < HEADER_BYTES) return SHORT_HEADER
    if (bytes[offset] !== VERSION) return BAD_FLAGS
    const type = bytes[offset + 1]!
    const protocol = uint16(bytes, offset + 2)
    if ((type !== TYPE_RECEIVED && type !== TYPE_TRANSMIT) || protocol !== PROTOCOL_ETHERNET) return UNKNOWN_PAYLOAD
    let at = HEADER_BYTES
    while (at < captured) {
      const tag = bytes[offset + at]!
      if (tag === TAG_END) {
        this.headerBytes = at + 1
        return OK
      }
      if (tag === TAG_PADDING) at++
      else if (at + 1 < captured) at += 2 + bytes[offset + at + 1]!
      else break
    }
    return SHORT_HEADER
  }
}

export const tzsp: Encapsulation = {
  name: 'tzsp',
  identifier: 'none: 0',
  largestIdentifier: 0,
  udpPorts: [37_008],
  create: () => new TzspDecapsulator(),
}
