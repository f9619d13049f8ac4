import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../wire/ether-type.ts'
import { InnerHeaders } from '../wire/inner-headers.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'

const ETHERTYPE_AT = 12
const IPV4_BYTES = 20
/** Version 4, five words of header. */
const IPV4_WITHOUT_OPTIONS = 0x45
const IPV4_TOTAL_LENGTH = 2
/** More fragments, and fragment offset. */
const IPV4_FRAGMENT = 6
const FRAGMENT_MASK = 0x3fff
const IPV4_PROTOCOL = 9
const IPV4_TTL_AND_PROTOCOL = 8
const IPV4_ADDRESSES = 12
/** Of the four bytes TTL, protocol, header checksum, read in little-endian order: the protocol. */
const PROTOCOL_ONLY = 0x0000ff00
const IPV6_BYTES = 40
const IPV6_LENGTH_AND_HOP_LIMIT = 4
const IPV6_ADDRESSES = 8
/** Of the four bytes payload length, next header, hop limit, read in little-endian order: all but the last. */
const NO_HOP_LIMIT = 0x00ffffff
/** The bit of a MAC address that says it is a group's. */
const GROUP = 0x01

/** By IP protocol: where the checksum is, and how long, in the header of TCP, UDP, UDP-Lite, ICMP, ICMPv6, SCTP. */
const CHECKSUM_AT = new Uint8Array(256)
const CHECKSUM_BYTES = new Uint8Array(256)
for (const [protocol, at, length] of [
  [6, 16, 2],
  [17, 6, 2],
  [136, 6, 2],
  [1, 2, 2],
  [58, 2, 2],
  [132, 8, 4],
] as const) {
  CHECKSUM_AT[protocol] = at
  CHECKSUM_BYTES[protocol] = length
}

/** Odd constants with well mixed bits: those of xxHash (Yann Collet). */
const PRIME_1 = 0x9e3779b1
const PRIME_2 = 0x85ebca77
const PRIME_3 = 0xc2b2ae3d

/**
 * 64 bits of what stays the same about a frame wherever it is mirrored on its way. Of an IP packet: its bytes without
 * time to live, header checksum, and the checksum behind it, which network cards fill in late; the link header and what
 * fills the frame up differ from hop to hop. Frames to a group of stations are not passed on by routers, and protocols
 * send the same to several VLANs: of those the link header counts. Of what is no IP, all.
 *
 * Seeded, so that nobody outside can make two packets that look alike.
 */
export class Fingerprint {
  /** The two halves, signed. */
  low = 0
  high = 0
  readonly #seed: number
  /** Odd, so that every word still makes a difference. */
  readonly #key: number
  readonly #view: DataView
  readonly #bytes: Uint8Array
  readonly #headers: InnerHeaders = new InnerHeaders()
  /** What counts of the frame: two ranges, as a checksum may lie between, and the words of headers that count in part. */
  #from = 0
  #cut = 0
  #resume = 0
  #end = 0
  #word0 = 0
  #word1 = 0
  #word2 = 0
  #word3 = 0

  /** `view` and `bytes`: the memory that the frames lie in. `seed`: 32 bits that nobody outside knows. */
  constructor(view: DataView, bytes: Uint8Array, seed: number) {
    this.#view = view
    this.#bytes = bytes
    this.#seed = seed | 0
    this.#key = mix(seed ^ PRIME_3) | 1
  }

  /** Takes the fingerprint of a frame in the tunnel `tunnelId`: the same addresses in another are other stations. */
  take(offset: number, captured: number, wireLength: number, linkType: number, tunnelId: number): void {
    if (linkType !== LINKTYPE_ETHERNET || !this.#plainIpv4(offset, captured)) {
      this.#any(offset, captured, wireLength, linkType)
    }
    this.#digest(tunnelId | 0)
  }

  /** The way that most frames take, sooner than by #any and with the same result: IPv4 without tags, options, fragments. */
  #plainIpv4(offset: number, captured: number): boolean {
    if (captured < ETHERNET_HEADER_BYTES + IPV4_BYTES) return false
    const view = this.#view
    const start = offset + ETHERNET_HEADER_BYTES
    if (view.getUint16(offset + ETHERTYPE_AT) !== ETHERTYPE_IPV4 || view.getUint8(start) !== IPV4_WITHOUT_OPTIONS) {
      return false
    }
    const totalLength = view.getUint16(start + IPV4_TOTAL_LENGTH)
    if (totalLength < IPV4_BYTES || (view.getUint16(start + IPV4_FRAGMENT) & FRAGMENT_MASK) !== 0) return false
    const end = Math.min(offset + captured, start + totalLength)
    this.#ipv4(start)
    this.#packet(offset, start, end, LINKTYPE_ETHERNET, view.getUint8(start + IPV4_PROTOCOL), start + IPV4_BYTES)
    return true
  }

  #any(offset: number, captured: number, wireLength: number, linkType: number): void {
    const headers = this.#headers
    headers.decode(this.#bytes, offset, captured, linkType)
    const start = offset + headers.networkAt
    const end = offset + Math.min(captured, headers.statedEnd)
    if (headers.etherType === ETHERTYPE_IPV4 && end >= start + IPV4_BYTES) this.#ipv4(start)
    else if (headers.etherType === ETHERTYPE_IPV6 && end >= start + IPV6_BYTES) this.#ipv6(start)
    else {
      this.#other(offset, captured, wireLength)
      return
    }
    this.#packet(offset, start, end, linkType, headers.protocol, offset + headers.transportAt)
  }

  #ipv4(start: number): void {
    this.#word0 = this.#view.getInt32(start, true)
    this.#word1 = this.#view.getInt32(start + 4, true)
    this.#word2 = this.#view.getInt32(start + IPV4_TTL_AND_PROTOCOL, true) & PROTOCOL_ONLY
    this.#from = start + IPV4_ADDRESSES
  }

  #ipv6(start: number): void {
    this.#word0 = this.#view.getInt32(start, true)
    this.#word1 = this.#view.getInt32(start + IPV6_LENGTH_AND_HOP_LIMIT, true) & NO_HOP_LIMIT
    this.#word2 = 0
    this.#from = start + IPV6_ADDRESSES
  }

  /** Behind the words of the IP header. */
  #packet(offset: number, start: number, end: number, linkType: number, protocol: number, transportAt: number): void {
    const isGroup = linkType === LINKTYPE_ETHERNET && (this.#bytes[offset]! & GROUP) !== 0
    this.#word3 = isGroup ? this.#folded(offset, start) : 0
    this.#end = end
    this.#cut = end
    this.#resume = end
    if (protocol < 0 || CHECKSUM_BYTES[protocol] === 0) return
    const checksumAt = transportAt + CHECKSUM_AT[protocol]!
    if (checksumAt + CHECKSUM_BYTES[protocol]! > end) return
    this.#cut = checksumAt
    this.#resume = checksumAt + CHECKSUM_BYTES[protocol]!
  }

  /** All of it; behind ARP, what fills the frame up does not count. */
  #other(offset: number, captured: number, wireLength: number): void {
    const isArp = this.#headers.etherType === ETHERTYPE_ARP
    this.#word0 = isArp ? 0 : wireLength
    this.#word1 = 0
    this.#word2 = 0
    this.#word3 = 0
    this.#from = offset
    this.#end = offset + (isArp ? this.#headers.transportAt : captured)
    this.#cut = this.#end
    this.#resume = this.#end
  }

  #folded(start: number, end: number): number {
    let lane = this.#seed
    for (let at = start; at < end; at++) lane = step(lane, this.#bytes[at]!, this.#key)
    return lane
  }

  /**
   * Words go to four lanes in turn, so that the processor can work on all of them at once. The sum is of all states that
   * the lanes have been in: two frames that bring a lane to the same end went there by other ways.
   */
  #digest(tunnelId: number): void {
    const view = this.#view
    const key = this.#key
    let lane0 = step(this.#seed, this.#word0, key)
    let lane1 = step(this.#seed, this.#word1, key)
    // Of these two words nobody outside chooses so much that it would make up for what is counted with them.
    let lane2 = step(this.#seed ^ tunnelId, this.#word2, key)
    let lane3 = step(this.#seed ^ (this.#end - this.#from), this.#word3, key)
    let sum = (lane0 + lane1 + lane2 + lane3) | 0
    let at = this.#from
    let end = this.#cut
    for (let range = 0; range < 2; range++) {
      for (; at + 16 <= end; at += 16) {
        lane0 = step(lane0, view.getInt32(at, true), key)
        lane1 = step(lane1, view.getInt32(at + 4, true), key)
        lane2 = step(lane2, view.getInt32(at + 8, true), key)
        lane3 = step(lane3, view.getInt32(at + 12, true), key)
        sum = (sum + lane0 + lane1 + lane2 + lane3) | 0
      }
      for (; at + 4 <= end; at += 4) {
        lane0 = step(lane0, view.getInt32(at, true), key)
        sum = (sum + lane0) | 0
      }
      for (; at < end; at++) {
        lane1 = step(lane1, this.#bytes[at]!, key)
        sum = (sum + lane1) | 0
      }
      at = this.#resume
      end = this.#end
    }
    const half = lane2 ^ Math.imul(lane3, PRIME_3)
    this.low = mix(lane0 ^ Math.imul(lane1, PRIME_2) ^ Math.imul((half << 13) | (half >>> 19), PRIME_1))
    this.high = sum ^ Math.imul(lane3, PRIME_2)
  }
}

/**
 * A permutation of the lane for each word, and of the word for each lane: one different word is never overlooked. Without
 * the secret factor in front, a bit that the turn brings to the top would change nothing but the top bit of the lane, in
 * every frame and whatever the seed: two of them in two lanes, or one and a top bit in the next word, would cancel out.
 */
function step(lane: number, word: number, key: number): number {
  const mixed = lane ^ Math.imul(word, key)
  return Math.imul((mixed << 13) | (mixed >>> 19), PRIME_1)
}

/** MurmurHash3's last step (Austin Appleby, public domain): all bits decide about the place in a table. */
function mix(value: number): number {
  let bits = value
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}
