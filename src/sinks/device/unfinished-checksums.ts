import { ETHERTYPE_IPV4 } from '../../wire/ether-type.ts'
import { InnerHeaders } from '../../wire/inner-headers.ts'
import { LINKTYPE_ETHERNET } from '../../wire/link-type.ts'
import { uint16 } from '../../wire/read.ts'

const TCP = 6
const UDP = 17
const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6
/** RFC 791 section 3.1, RFC 8200 section 3: where the addresses are, and how many bytes. */
const IPV4_ADDRESSES = 12
const IPV4_ADDRESSES_BYTES = 8
const IPV6_ADDRESSES = 8
const IPV6_ADDRESSES_BYTES = 32
/** One finished checksum in 65536 looks unfinished. */
const ENOUGH = 3

/** Tells whether frames go by whose checksums the sender left to its network card; looks at few of them. */
export class UnfinishedChecksums {
  readonly #headers: InnerHeaders = new InnerHeaders()
  #seen = 0

  /** Looks at one more frame; true at the frame that makes it certain, once. */
  look(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#seen >= ENOUGH || !this.#isUnfinished(bytes, offset, length)) return false
    this.#seen++
    return this.#seen === ENOUGH
  }

  /** Linux leaves the folded sum of the pseudo-header in the checksum's place (CHECKSUM_PARTIAL). */
  #isUnfinished(bytes: Uint8Array, offset: number, length: number): boolean {
    const headers = this.#headers
    headers.decode(bytes, offset, length, LINKTYPE_ETHERNET)
    if (headers.isFragment || (headers.protocol !== TCP && headers.protocol !== UDP)) return false
    const field = headers.transportAt + (headers.protocol === TCP ? TCP_CHECKSUM : UDP_CHECKSUM)
    if (field + 2 > length || headers.statedEnd === 0) return false
    const isIpv4 = headers.etherType === ETHERTYPE_IPV4
    const start = offset + headers.networkAt + (isIpv4 ? IPV4_ADDRESSES : IPV6_ADDRESSES)
    const end = start + (isIpv4 ? IPV4_ADDRESSES_BYTES : IPV6_ADDRESSES_BYTES)
    let sum = headers.protocol + headers.statedEnd - headers.transportAt
    for (let at = start; at < end; at += 2) sum += uint16(bytes, at)
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
    return uint16(bytes, offset + field) === sum
  }
}
