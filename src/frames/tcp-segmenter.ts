import { ETHERTYPE_IPV4 } from '../wire/ether-type.ts'
import { InnerHeaders } from '../wire/inner-headers.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { uint16, uint32 } from '../wire/read.ts'
import { folded, InternetChecksum } from './internet-checksum.ts'
import { pseudoHeaderSum } from './pseudo-header.ts'

/** RFC 791 section 3.1. */
const IPV4_TOTAL_LENGTH = 2
const IPV4_IDENTIFICATION = 4
const IPV4_CHECKSUM = 10
/** RFC 8200 section 3. */
const IPV6_HEADER_BYTES = 40
const IPV6_PAYLOAD_LENGTH = 4
const IPV6_NEXT_HEADER = 6
const HOP_BY_HOP = 0

/** RFC 9293 section 3.1, RFC 3168 section 6.1. */
const TCP = 6
const TCP_HEADER_BYTES = 20
const TCP_SEQUENCE = 4
const TCP_DATA_OFFSET = 12
const TCP_FLAGS = 13
const TCP_CHECKSUM = 16
const TCP_URGENT = 18
const FIN = 0x01
const SYN = 0x02
const RST = 0x04
const PSH = 0x08
const URG = 0x20
const CWR = 0x80

/**
 * Divides TCP frames that segmentation offload left longer than a wire takes, as the network card or Linux would have
 * (tcp_gso_segment): sequence numbers and IPv4 identifications count on, FIN and PSH are the last segment's, CWR is the
 * first one's, lengths and checksums are each segment's own. What the receiver's segment size was is not in the frame.
 *
 * In place, without copying payload: a segment's headers are written over the end of the payload in front of its own.
 */
export class TcpSegmenter {
  /** The segment that next() made. */
  offset = 0
  length = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #checksum: InternetChecksum
  readonly #headers: InnerHeaders = new InnerHeaders()
  /** Of the frame: where it begins, its bytes in front of the payload, its payload, and the payload of a segment. */
  #frame = 0
  #headerBytes = 0
  #payload = 0
  #segment = 0
  /** Payload that was given out, and segments. */
  #done = 0
  #count = 0
  #identification = 0
  #sequence = 0
  #flags = 0
  #urgent = 0
  #pseudoHeader = 0
  /** What the frame's own checksums are wrong by: its segments' are wrong by as much, and an IDS sees it. */
  #ipv4Error = 0
  #tcpError = 0

  /** `bytes` is all of its buffer. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#checksum = new InternetChecksum(bytes)
  }

  /**
   * Whether the Ethernet frame is to be divided: it is longer than `limit` bytes, VLAN tags of up to `tagBytes` not
   * counted, and can be: TCP, whole, no IP fragment, neither SYN nor RST, without an IPv6 routing header or jumbogram.
   */
  begin(offset: number, captured: number, limit: number, tagBytes: number): boolean {
    const headers = this.#headers
    headers.decode(this.#bytes, offset, captured, LINKTYPE_ETHERNET)
    if (headers.protocol !== TCP || headers.isFragment || headers.isRouted) return false
    // Offload may leave the length 0: the packet then ends where its frame does.
    const end = headers.statedEnd > 0 ? headers.statedEnd : captured
    const tcp = offset + headers.transportAt
    if (end > captured || headers.transportAt + TCP_HEADER_BYTES > end || this.#isJumbogram(offset)) return false
    const longest = limit + Math.min(tagBytes, headers.networkAt - ETHERNET_HEADER_BYTES)
    const dataOffset = (this.#bytes[tcp + TCP_DATA_OFFSET]! >> 4) * 4
    this.#flags = this.#bytes[tcp + TCP_FLAGS]!
    this.#headerBytes = headers.transportAt + dataOffset
    this.#segment = longest - this.#headerBytes
    this.#payload = end - this.#headerBytes
    if (dataOffset < TCP_HEADER_BYTES || (this.#flags & (SYN | RST)) !== 0) return false
    if (this.#segment <= 0 || this.#payload <= this.#segment) return false
    this.#frame = offset
    this.#readFrame(offset + headers.networkAt, tcp, end - headers.transportAt)
    return true
  }

  /** Makes the next segment; false when there is none. The one before is spoilt by it: it must have left. */
  next(): boolean {
    const done = this.#done
    if (done >= this.#payload) return false
    const start = this.#frame + done
    const payload = Math.min(this.#segment, this.#payload - done)
    if (done > 0) this.#bytes.copyWithin(start, this.offset, this.offset + this.#headerBytes)
    this.offset = start
    this.length = this.#headerBytes + payload
    this.#writeNetwork(start + this.#headers.networkAt)
    this.#writeTcp(start + this.#headers.transportAt, done + payload === this.#payload)
    this.#done += payload
    this.#count++
    return true
  }

  /** RFC 2675: the length is in an option, which segments must not have. */
  #isJumbogram(offset: number): boolean {
    const { etherType, networkAt } = this.#headers
    const network = offset + networkAt
    if (etherType === ETHERTYPE_IPV4 || uint16(this.#bytes, network + IPV6_PAYLOAD_LENGTH) !== 0) return false
    return this.#bytes[network + IPV6_NEXT_HEADER] === HOP_BY_HOP
  }

  #readFrame(network: number, tcp: number, tcpBytes: number): void {
    const { etherType, networkAt, transportAt } = this.#headers
    const bytes = this.#bytes
    this.#done = 0
    this.#count = 0
    this.#sequence = uint32(bytes, tcp + TCP_SEQUENCE)
    this.#urgent = uint16(bytes, tcp + TCP_URGENT)
    this.#pseudoHeader = pseudoHeaderSum(bytes, network, etherType, TCP)
    this.#tcpError = this.#errorOfTcp(tcp, tcpBytes)
    if (etherType !== ETHERTYPE_IPV4) return
    this.#identification = uint16(bytes, network + IPV4_IDENTIFICATION)
    const isUnfinished = uint16(bytes, network + IPV4_CHECKSUM) === 0
    this.#ipv4Error = isUnfinished ? 0 : errorOf(this.#checksum.sum(network, transportAt - networkAt))
  }

  /** None where the sender left the checksum to its network card: the pseudo-header's sum stands there, or zero. */
  #errorOfTcp(tcp: number, tcpBytes: number): number {
    const found = uint16(this.#bytes, tcp + TCP_CHECKSUM)
    const pseudoHeader = folded(this.#pseudoHeader + folded(tcpBytes))
    if (found === 0 || found === pseudoHeader || found === folded(this.#pseudoHeader)) return 0
    return errorOf(folded(this.#checksum.sum(tcp, tcpBytes) + pseudoHeader))
  }

  #writeNetwork(network: number): void {
    const packetBytes = this.length - this.#headers.networkAt
    if (this.#headers.etherType !== ETHERTYPE_IPV4) {
      this.#view.setUint16(network + IPV6_PAYLOAD_LENGTH, packetBytes - IPV6_HEADER_BYTES)
      return
    }
    const headerBytes = this.#headers.transportAt - this.#headers.networkAt
    this.#view.setUint16(network + IPV4_TOTAL_LENGTH, packetBytes)
    this.#view.setUint16(network + IPV4_IDENTIFICATION, this.#identification + this.#count)
    this.#view.setUint16(network + IPV4_CHECKSUM, 0)
    const checksum = ~this.#checksum.sum(network, headerBytes) & 0xffff
    this.#view.setUint16(network + IPV4_CHECKSUM, folded(checksum + this.#ipv4Error))
  }

  #writeTcp(tcp: number, isLast: boolean): void {
    const tcpBytes = this.length - this.#headers.transportAt
    let flags = this.#flags
    if (!isLast) flags &= ~(FIN | PSH)
    if (this.#count > 0) flags &= ~CWR
    // The pointer counts from the segment's own sequence number; behind it nothing is urgent any more.
    const urgent = (flags & URG) === 0 ? this.#urgent : Math.max(0, this.#urgent - this.#done)
    if (urgent === 0) flags &= ~URG
    this.#view.setUint32(tcp + TCP_SEQUENCE, this.#sequence + this.#done)
    this.#bytes[tcp + TCP_FLAGS] = flags
    this.#view.setUint16(tcp + TCP_URGENT, urgent)
    this.#view.setUint16(tcp + TCP_CHECKSUM, 0)
    const sum = this.#checksum.sum(tcp, tcpBytes) + this.#pseudoHeader + tcpBytes
    this.#view.setUint16(tcp + TCP_CHECKSUM, folded((~folded(sum) & 0xffff) + this.#tcpError))
  }
}

/** How much a checksum is too large, given the sum over what it covers, itself included: that of sound ones is 0xffff. */
function errorOf(sum: number): number {
  return sum === 0xffff ? 0 : sum
}
