import type { Decapsulator, DecapsulatorOptions, Encapsulation } from './decapsulator.ts'
import { IS_ETHERNET } from './ether-type.ts'
import { uint24 } from './read.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, type Verdict } from './verdict.ts'

/** RFC 7348 section 5. */
const HEADER_BYTES = 8
const FLAGS = 0
const GROUP_FLAGS = 1
const GROUP_POLICY_ID = 2
const VNI = 4
const RESERVED = 7

/** "I" bit: the VNI is valid. */
const FLAG_VNI_VALID = 0x08
/** "G" bit of draft-smith-vxlan-group-policy: bytes 1 to 3 carry a group policy. */
const FLAG_GROUP_POLICY = 0x80
/** "D" (do not learn) and "A" (policy applied) of the same draft, in byte 1. */
const GROUP_FLAGS_KNOWN = 0x48

/** Takes off VXLAN: RFC 7348, with or without a group policy. */
export class VxlanDecapsulator implements Decapsulator {
  tunnelId = 0
  readonly headerBytes: number = HEADER_BYTES
  readonly etherType: number = IS_ETHERNET
  readonly #strict: boolean

  constructor(options: DecapsulatorOptions) {
    this.#strict = options.strict
  }

  decode(bytes: Uint8Array, offset: number, captured: number): Verdict {
    if (captured < HEADER_BYTES) return SHORT_HEADER
    // RFC 7348 section 5: the I flag MUST be 1 for a valid VNI; reserved fields are ignored on receipt.
    if ((bytes[offset + FLAGS]! & FLAG_VNI_VALID) === 0) return BAD_FLAGS
    if (this.#strict && hasReservedBits(bytes, offset)) return BAD_FLAGS
    this.tunnelId = uint24(bytes, offset + VNI)
    return OK
  }
}

function hasReservedBits(bytes: Uint8Array, offset: number): boolean {
  const flags = bytes[offset + FLAGS]!
  if ((flags & ~(FLAG_VNI_VALID | FLAG_GROUP_POLICY)) !== 0) return true
  if (bytes[offset + RESERVED] !== 0) return true
  const groupFlags = bytes[offset + GROUP_FLAGS]!
  if ((flags & FLAG_GROUP_POLICY) !== 0) return (groupFlags & ~GROUP_FLAGS_KNOWN) !== 0
  return groupFlags !== 0 || bytes[offset + GROUP_POLICY_ID] !== 0 || bytes[offset + GROUP_POLICY_ID + 1] !== 0
}

export const vxlan: Encapsulation = {
  name: 'vxlan',
  identifier: 'VNI',
  largestIdentifier: 0xff_ffff,
  // 8472 is the port of Linux before the RFC, and still the default of `ip link add type vxlan`.
  udpPorts: [4789, 8472],
  create: (options) => new VxlanDecapsulator(options),
}
