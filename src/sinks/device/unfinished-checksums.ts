import { folded } from '../../frames/internet-checksum.ts'
import { pseudoHeaderSum } from '../../frames/pseudo-header.ts'
import { InnerHeaders } from '../../wire/inner-headers.ts'
import { LINKTYPE_ETHERNET } from '../../wire/link-type.ts'
import { uint16 } from '../../wire/read.ts'

const TCP = 6
const UDP = 17
const TCP_CHECKSUM = 16
const UDP_CHECKSUM = 6
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
    const pseudoHeader = pseudoHeaderSum(bytes, offset + headers.networkAt, headers.etherType, headers.protocol)
    const sum = folded(pseudoHeader + folded(headers.statedEnd - headers.transportAt))
    return uint16(bytes, offset + field) === sum
  }
}
