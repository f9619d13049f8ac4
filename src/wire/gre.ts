import type { Decapsulator, DecapsulatorOptions, Encapsulation } from './decapsulator.ts'
import { ErspanHeader, PROTOCOL_ERSPAN_II, PROTOCOL_ERSPAN_III } from './erspan.ts'
import { ETHERTYPE_TEB, IS_ETHERNET, isNetworkPacket } from './ether-type.ts'
import { uint16, uint32 } from './read.ts'
import { NOT_GIVEN, TunnelNotes } from './tunnel-notes.ts'
import { BAD_CHECKSUM, BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD, type Verdict } from './verdict.ts'

export const IPPROTO_GRE = 47

/** RFC 2784 section 2, RFC 2890 section 2. */
const HEADER_BYTES = 4
const PROTOCOL = 2
const FIELD_BYTES = 4
/** RFC 7637 section 3.2: the key is a VSID of 24 bits and a flow identifier of 8. */
const FLOW_ID_BITS = 8
const FLAG_CHECKSUM = 0x80
const FLAG_KEY = 0x20
const FLAG_SEQUENCE = 0x10
/** Routing present, of RFC 1701: section 2.3 of RFC 2784 has receivers discard such packets. */
const FLAG_ROUTING = 0x40
/** Strict source route, recursion control and flags of RFC 1701; reserved now. */
const RESERVED_FIRST = 0x0f
const RESERVED_SECOND = 0xf8
const VERSION = 0x07

/** Takes off GRE, and ERSPAN behind it. */
export class GreDecapsulator implements Decapsulator {
  /** The key, or ERSPAN's session. */
  tunnelId = 0
  headerBytes = 0
  etherType: number = IS_ETHERNET
  readonly notes: TunnelNotes = new TunnelNotes()
  readonly #strict: boolean
  readonly #isNvgre: boolean
  readonly #erspan: ErspanHeader = new ErspanHeader()

  constructor(options: DecapsulatorOptions) {
    this.#strict = options.strict
    this.#isNvgre = options.greKeyMode === 'vsid'
  }

  decode(bytes: Uint8Array, offset: number, captured: number, wireLength: number): Verdict {
    if (captured < HEADER_BYTES) return SHORT_HEADER
    const flags = bytes[offset]!
    const second = bytes[offset + 1]!
    // Version 1 is PPTP's (RFC 2637): PPP, not a mirror.
    if ((second & VERSION) !== 0) return UNKNOWN_PAYLOAD
    if ((flags & FLAG_ROUTING) !== 0) return BAD_FLAGS
    if (this.#strict && ((flags & RESERVED_FIRST) !== 0 || (second & RESERVED_SECOND) !== 0)) return BAD_FLAGS
    const checksumBytes = (flags & FLAG_CHECKSUM) !== 0 ? FIELD_BYTES : 0
    const keyBytes = (flags & FLAG_KEY) !== 0 ? FIELD_BYTES : 0
    const sequenceBytes = (flags & FLAG_SEQUENCE) !== 0 ? FIELD_BYTES : 0
    const headerBytes = HEADER_BYTES + checksumBytes + keyBytes + sequenceBytes
    if (captured < headerBytes) return SHORT_HEADER
    // What a snap length has cut cannot be summed.
    if (checksumBytes > 0 && captured === wireLength && !sumsToZero(bytes, offset, captured)) return BAD_CHECKSUM
    this.tunnelId = keyBytes > 0 ? uint32(bytes, offset + HEADER_BYTES + checksumBytes) : 0
    this.headerBytes = headerBytes
    const protocol = uint16(bytes, offset + PROTOCOL)
    // The sequence number is the header's last field.
    const sequence = sequenceBytes > 0 ? uint32(bytes, offset + headerBytes - FIELD_BYTES) : NOT_GIVEN
    const verdict = this.#payload(bytes, offset, captured, protocol, sequenceBytes > 0)
    if (verdict === OK) this.notes.sequence = sequence
    return verdict
  }

  #payload(bytes: Uint8Array, offset: number, captured: number, protocol: number, hasSequence: boolean): Verdict {
    this.etherType = IS_ETHERNET
    if (protocol === ETHERTYPE_TEB) {
      if (this.#isNvgre) this.tunnelId >>>= FLOW_ID_BITS
      return this.#plain()
    }
    if (isNetworkPacket(protocol)) {
      this.etherType = protocol
      return this.#plain()
    }
    const at = offset + this.headerBytes
    const rest = captured - this.headerBytes
    if (protocol === PROTOCOL_ERSPAN_II) {
      // Type I is told by the missing sequence number: it has no header of its own.
      if (!hasSequence) return this.#plain()
      return this.#tookErspan(this.#erspan.decodeTypeII(bytes, at, rest, this.notes))
    }
    if (protocol === PROTOCOL_ERSPAN_III)
      return this.#tookErspan(this.#erspan.decodeTypeIII(bytes, at, rest, this.notes))
    return UNKNOWN_PAYLOAD
  }

  #plain(): Verdict {
    this.notes.clear()
    return OK
  }

  #tookErspan(verdict: Verdict): Verdict {
    if (verdict !== OK) return verdict
    this.headerBytes += this.#erspan.headerBytes
    this.tunnelId = this.#erspan.session
    this.etherType = this.#erspan.etherType
    return OK
  }
}

/** RFC 1071, over header and payload: the ones' complement sum of sound bytes is all ones. */
function sumsToZero(bytes: Uint8Array, offset: number, length: number): boolean {
  let sum = 0
  const even = length & ~1
  for (let i = 0; i < even; i += 2) sum += uint16(bytes, offset + i)
  if (even < length) sum += bytes[offset + even]! << 8
  // A datagram has at most 32 768 words: the sum fits 31 bits, and two folds end the carries.
  sum = (sum & 0xffff) + (sum >>> 16)
  sum = (sum & 0xffff) + (sum >>> 16)
  return sum === 0xffff
}

export const gre: Encapsulation = {
  name: 'gre',
  identifier: "key, NVGRE's VSID (see --gre-key-mode), ERSPAN's session",
  largestIdentifier: 0xffff_ffff,
  udpPorts: [],
  ipProtocol: IPPROTO_GRE,
  isNumbered: true,
  create: (options) => new GreDecapsulator(options),
}

/** RFC 8086: the GRE header right behind UDP's. */
export const greInUdp: Encapsulation = {
  name: 'gre-in-udp',
  identifier: "key, NVGRE's VSID (see --gre-key-mode), ERSPAN's session",
  largestIdentifier: 0xffff_ffff,
  udpPorts: [4754],
  isNumbered: true,
  create: (options) => new GreDecapsulator(options),
}
