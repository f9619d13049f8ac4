import type { Decapsulator, DecapsulatorOptions, Encapsulation } from './decapsulator.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, IS_ETHERNET } from './ether-type.ts'
import { uint24 } from './read.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD, type Verdict } from './verdict.ts'

/** draft-ietf-nvo3-vxlan-gpe section 3. */
const HEADER_BYTES = 8
const FLAGS = 0
const NEXT_PROTOCOL = 3
const VNI = 4
const RESERVED = 7

const FLAG_VERSION = 0x30
const FLAG_VNI_VALID = 0x08
/** "P" bit: the next-protocol field says what follows; otherwise it is Ethernet, as in VXLAN. */
const FLAG_NEXT_PROTOCOL = 0x04
/** "O" bit: the packet is for operations and maintenance, not user traffic. */
const FLAG_OAM = 0x01
const FLAG_RESERVED = 0xc0

const NEXT_IPV4 = 1
const NEXT_IPV6 = 2
const NEXT_ETHERNET = 3

/** Takes off VXLAN-GPE. */
export class VxlanGpeDecapsulator implements Decapsulator {
  tunnelId = 0
  etherType: number = IS_ETHERNET
  readonly headerBytes: number = HEADER_BYTES
  readonly #strict: boolean

  constructor(options: DecapsulatorOptions) {
    this.#strict = options.strict
  }

  decode(bytes: Uint8Array, offset: number, captured: number): Verdict {
    if (captured < HEADER_BYTES) return SHORT_HEADER
    const flags = bytes[offset + FLAGS]!
    if ((flags & FLAG_VNI_VALID) === 0 || (flags & FLAG_VERSION) !== 0) return BAD_FLAGS
    if (this.#strict && ((flags & FLAG_RESERVED) !== 0 || hasReservedBytes(bytes, offset))) return BAD_FLAGS
    if ((flags & FLAG_OAM) !== 0) return UNKNOWN_PAYLOAD
    const next = (flags & FLAG_NEXT_PROTOCOL) === 0 ? NEXT_ETHERNET : bytes[offset + NEXT_PROTOCOL]!
    if (next === NEXT_ETHERNET) this.etherType = IS_ETHERNET
    else if (next === NEXT_IPV4) this.etherType = ETHERTYPE_IPV4
    else if (next === NEXT_IPV6) this.etherType = ETHERTYPE_IPV6
    else return UNKNOWN_PAYLOAD
    this.tunnelId = uint24(bytes, offset + VNI)
    return OK
  }
}

function hasReservedBytes(bytes: Uint8Array, offset: number): boolean {
  return bytes[offset + 1] !== 0 || bytes[offset + 2] !== 0 || bytes[offset + RESERVED] !== 0
}

export const vxlanGpe: Encapsulation = {
  name: 'vxlan-gpe',
  identifier: 'VNI',
  largestIdentifier: 0xff_ffff,
  udpPorts: [4790],
  create: (options) => new VxlanGpeDecapsulator(options),
}
