import { crc32c } from '../frames/crc.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import { folded, InternetChecksum } from '../frames/internet-checksum.ts'
import { pseudoHeaderSum } from '../frames/pseudo-header.ts'
import { ETHERTYPE_IPV4 } from '../wire/ether-type.ts'
import { type InnerHeaders, PROTOCOL_UNKNOWN } from '../wire/inner-headers.ts'
import { uint16, uint32 } from '../wire/read.ts'

/** RFC 791 section 3.1, RFC 8200 section 3. */
const IPV4_HEADER_BYTES = 20
const IPV4_CHECKSUM = 10

const ICMP = 1
const TCP = 6
const UDP = 17
const ICMPV6 = 58
const SCTP = 132
const ICMP_CHECKSUM = 2
const ICMP_BYTES = 4
const TCP_CHECKSUM = 16
const TCP_BYTES = 20
const UDP_LENGTH = 4
const UDP_CHECKSUM = 6
const UDP_BYTES = 8
const SCTP_CHECKSUM = 8
const SCTP_BYTES = 12

/**
 * Completes the checksums that the sender had left to its network card, which a mirror in front of the card does not see.
 *
 * Only those: a checksum that is plainly wrong was wrong on the wire, and whoever looks for that must still find it. An
 * unfinished one is told by what stands in its place: the sum of the pseudo-header alone, as Linux, Windows and FreeBSD
 * leave it there (with the length in it or, for segmentation in the card, without), or zero. Where a sound checksum
 * happens to look like that, completing it gives the same again.
 */
export class ChecksumFixer {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #checksum: InternetChecksum

  constructor(batch: Pick<FrameBatch, 'bytes' | 'view'>) {
    this.#bytes = batch.bytes
    this.#view = batch.view
    this.#checksum = new InternetChecksum(batch.bytes)
  }

  /**
   * `headers` has just read the frame. A fragment, and a frame whose IP packet was cut, keep every byte: the checksum of
   * the IPv4 header could be completed there, too, but a header that tells nothing of what is missing should be the sender's.
   */
  fix(offset: number, captured: number, wireLength: number, headers: InnerHeaders): void {
    // Segmentation in the card and BIG TCP leave the length 0: the frame then ends where its packet does.
    const end = headers.statedEnd > 0 ? headers.statedEnd : captured === wireLength ? captured : 0
    if (end === 0 || end > captured || headers.isFragment) return
    const network = offset + headers.networkAt
    if (headers.etherType === ETHERTYPE_IPV4) this.#ipv4Header(network, offset + headers.transportAt)
    const length = end - headers.transportAt
    if (headers.protocol === PROTOCOL_UNKNOWN || headers.isRouted || length <= 0) return
    this.#transport(network, offset + headers.transportAt, length, headers)
  }

  #ipv4Header(start: number, end: number): void {
    if (end - start < IPV4_HEADER_BYTES || end - start < (this.#bytes[start]! & 0x0f) * 4) return
    if (uint16(this.#bytes, start + IPV4_CHECKSUM) !== 0) return
    this.#view.setUint16(start + IPV4_CHECKSUM, ~this.#checksum.sum(start, end - start) & 0xffff)
  }

  #transport(network: number, at: number, length: number, headers: InnerHeaders): void {
    switch (headers.protocol) {
      case TCP:
        if (length >= TCP_BYTES) this.#overPseudoHeader(network, at, length, TCP_CHECKSUM, headers)
        return
      case UDP:
        if (length >= UDP_BYTES) this.#udp(network, at, length, headers)
        return
      case ICMPV6:
        if (length >= ICMP_BYTES) this.#overPseudoHeader(network, at, length, ICMP_CHECKSUM, headers)
        return
      case ICMP:
        if (length >= ICMP_BYTES && uint16(this.#bytes, at + ICMP_CHECKSUM) === 0) {
          this.#view.setUint16(at + ICMP_CHECKSUM, ~this.#checksum.sum(at, length) & 0xffff)
        }
        return
      case SCTP:
        if (length >= SCTP_BYTES && uint32(this.#bytes, at + SCTP_CHECKSUM) === 0) {
          // RFC 9260 appendix A: the bytes of the remainder go out in reverse, which is little endian.
          this.#view.setUint32(at + SCTP_CHECKSUM, crc32c(this.#bytes, at, length, at + SCTP_CHECKSUM), true)
        }
    }
  }

  /** RFC 768: zero says that there is no checksum, and a sum that comes out as zero is sent as its twin. */
  #udp(network: number, at: number, length: number, headers: InnerHeaders): void {
    const stated = uint16(this.#bytes, at + UDP_LENGTH)
    const covered = stated === 0 ? length : stated
    if (covered < UDP_BYTES || covered > length || uint16(this.#bytes, at + UDP_CHECKSUM) === 0) return
    this.#overPseudoHeader(network, at, covered, UDP_CHECKSUM, headers)
    if (uint16(this.#bytes, at + UDP_CHECKSUM) === 0) this.#view.setUint16(at + UDP_CHECKSUM, 0xffff)
  }

  /** RFC 9293 section 3.1, RFC 8200 section 8.1: addresses, protocol and length are summed, too. */
  #overPseudoHeader(network: number, at: number, length: number, field: number, headers: InnerHeaders): void {
    const withoutLength = folded(pseudoHeaderSum(this.#bytes, network, headers.etherType, headers.protocol))
    const pseudoHeader = folded(withoutLength + folded(length))
    const found = uint16(this.#bytes, at + field)
    if (found !== pseudoHeader && found !== withoutLength && found !== 0) return
    this.#view.setUint16(at + field, 0)
    this.#view.setUint16(at + field, ~folded(this.#checksum.sum(at, length) + pseudoHeader) & 0xffff)
  }
}
