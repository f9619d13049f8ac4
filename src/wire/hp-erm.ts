import type { Decapsulator, Encapsulation } from './decapsulator.ts'
import { IS_ETHERNET } from './ether-type.ts'
import { uint16 } from './read.ts'
import { NO_TAG, TunnelNotes } from './tunnel-notes.ts'
import { OK, SHORT_HEADER, type Verdict } from './verdict.ts'

/**
 * HP's encapsulated remote mirroring, which ProCurve switches speak. HP has published no format; this is what others have
 * found by experiment (Wireshark's packet-hp-erm.c, RCDCap): nine bytes that nobody knows, 802.1Q's tag control
 * information, a byte whose upper bit says that the mirrored frame had that tag.
 */
const HEADER_BYTES = 12
const TAG_CONTROL = 9
const FLAGS = 11
const FLAG_TAGGED = 0x80

/** The switch counts priorities from background (1 in 802.1Q) over spare (2) and best effort (0) upwards. */
const PRIORITIES = [1, 2, 0, 3, 4, 5, 6, 7] as const

/** Takes off HP ERM. It has no tunnel identifier. */
export class HpErmDecapsulator implements Decapsulator {
  readonly tunnelId: number = 0
  readonly headerBytes: number = HEADER_BYTES
  readonly etherType: number = IS_ETHERNET
  readonly notes: TunnelNotes = new TunnelNotes()

  decode(bytes: Uint8Array, offset: number, captured: number): Verdict {
    if (captured < HEADER_BYTES) return SHORT_HEADER
    const control = uint16(bytes, offset + TAG_CONTROL)
    const isTagged = (bytes[offset + FLAGS]! & FLAG_TAGGED) !== 0
    this.notes.tag = isTagged ? (PRIORITIES[control >> 13]! << 13) | (control & 0x1fff) : NO_TAG
    return OK
  }
}

export const hpErm: Encapsulation = {
  name: 'hp-erm',
  identifier: 'none: 0',
  largestIdentifier: 0,
  udpPorts: [7932],
  create: () => new HpErmDecapsulator(),
}
