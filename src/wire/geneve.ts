import type { Decapsulator, DecapsulatorOptions, Encapsulation } from './decapsulator.ts'
import { ETHERTYPE_TEB, IS_ETHERNET, isNetworkPacket } from './ether-type.ts'
import { uint16, uint24 } from './read.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD, type Verdict } from './verdict.ts'

/** RFC 8926 section 3.4. */
const HEADER_BYTES = 8
const VERSION_AND_LENGTH = 0
const FLAGS = 1
const PROTOCOL = 2
const VNI = 4
const RESERVED = 7

const FLAG_CONTROL = 0x80
const FLAGS_RESERVED = 0x3f

/** Section 3.5: class, type, length in 4-byte words without this header. */
const OPTION_HEADER_BYTES = 4
const OPTION_TYPE = 2
const OPTION_LENGTH = 3
const OPTION_CRITICAL = 0x80

/** Classes are IANA's. AWS's gateway load balancer: endpoint, attachment, flow cookie. */
const CLASS_AWS = 0x0108
const AWS_ENDPOINT = 1
const AWS_FLOW_COOKIE = 3
/** Google's packet mirroring. */
const CLASS_GCP = 0x0132

/** Takes off Geneve and its options. */
export class GeneveDecapsulator implements Decapsulator {
  tunnelId = 0
  headerBytes: number = HEADER_BYTES
  etherType: number = IS_ETHERNET
  readonly #strict: boolean

  constructor(options: DecapsulatorOptions) {
    this.#strict = options.strict
  }

  decode(bytes: Uint8Array, offset: number, captured: number): Verdict {
    if (captured < HEADER_BYTES) return SHORT_HEADER
    const first = bytes[offset + VERSION_AND_LENGTH]!
    if (first >> 6 !== 0) return BAD_FLAGS
    const headerBytes = HEADER_BYTES + (first & 0x3f) * 4
    if (captured < headerBytes) return SHORT_HEADER
    const flags = bytes[offset + FLAGS]!
    // Section 3.5: a tunnel endpoint drops critical options that it does not know; a mirror is worth more with them.
    if (this.#strict && !isStrictlySound(bytes, offset, headerBytes)) return BAD_FLAGS
    if ((flags & FLAG_CONTROL) !== 0) return UNKNOWN_PAYLOAD
    const protocol = uint16(bytes, offset + PROTOCOL)
    if (protocol === ETHERTYPE_TEB) this.etherType = IS_ETHERNET
    else if (isNetworkPacket(protocol)) this.etherType = protocol
    else return UNKNOWN_PAYLOAD
    this.headerBytes = headerBytes
    this.tunnelId = uint24(bytes, offset + VNI)
    return OK
  }
}

/** No reserved bits, and of the critical options only those that say where a mirror came from. */
function isStrictlySound(bytes: Uint8Array, offset: number, headerBytes: number): boolean {
  if ((bytes[offset + FLAGS]! & FLAGS_RESERVED) !== 0 || bytes[offset + RESERVED] !== 0) return false
  const end = offset + headerBytes
  let at = offset + HEADER_BYTES
  while (at < end) {
    const type = bytes[at + OPTION_TYPE]!
    if ((type & OPTION_CRITICAL) !== 0 && !isKnownOption(uint16(bytes, at), type & ~OPTION_CRITICAL)) return false
    at += OPTION_HEADER_BYTES + (bytes[at + OPTION_LENGTH]! & 0x1f) * 4
  }
  return at === end
}

function isKnownOption(optionClass: number, type: number): boolean {
  if (optionClass === CLASS_AWS) return type >= AWS_ENDPOINT && type <= AWS_FLOW_COOKIE
  return optionClass === CLASS_GCP
}

export const geneve: Encapsulation = {
  name: 'geneve',
  identifier: 'VNI',
  largestIdentifier: 0xff_ffff,
  udpPorts: [6081],
  // AWS: a mirror that goes through a gateway load balancer.
  mirrorsInside: ['vxlan'],
  create: (options) => new GeneveDecapsulator(options),
}
