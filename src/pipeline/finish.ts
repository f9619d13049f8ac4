import type { FrameBatch } from '../frames/frame-batch.ts'
import { ETHERTYPE_ARP, isNetworkPacket } from '../wire/ether-type.ts'
import { InnerHeaders } from '../wire/inner-headers.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { LINKTYPE_RAW } from '../wire/link-type.ts'
import { OK, type Verdict } from '../wire/verdict.ts'
import { ChecksumFixer } from './checksum-fixer.ts'
import type { Step } from './step.ts'

/** Up to which layer's header frames are kept: link, network, transport. */
export type HeaderLayer = 'l2' | 'l3' | 'l4'

export interface FinishOptions {
  /** IP packets that were mirrored without Ethernet keep the header that they got, or leave bare (LINKTYPE_RAW). */
  readonly ipFrames: 'ethernet' | 'raw'
  /** Complete the checksums that the sender had left to its network card. */
  readonly fixChecksums: boolean
  /** Keep the headers only, up to those of this layer; undefined = keep what they carry. */
  readonly headers: HeaderLayer | undefined
  /** Bytes to keep of each frame. */
  readonly snapLength: number
}

const ICMP = 1
const TCP = 6
const UDP = 17
const ICMPV6 = 58
const SCTP = 132
const UDP_LITE = 136
const TCP_DATA_OFFSET = 12
const TCP_BYTES = 20

/** Gives a frame that was chosen its last form: checksums first, as they need all of it, then what is cut off. */
export class FinishStep implements Step {
  readonly #options: FinishOptions
  readonly #reads: boolean
  readonly #headers: InnerHeaders = new InnerHeaders()
  readonly #fixer: ChecksumFixer

  /** `batch`: whose memory the frames lie in. */
  constructor(options: FinishOptions, batch: Pick<FrameBatch, 'bytes' | 'view'>) {
    this.#options = options
    this.#reads = options.fixChecksums || options.headers !== undefined
    this.#fixer = new ChecksumFixer(batch)
  }

  judge(batch: FrameBatch, row: number): Verdict {
    if (this.#reads) this.#finish(batch, row)
    if (this.#options.ipFrames === 'raw' && isNetworkPacket(batch.etherType[row]!)) bare(batch, row)
    if (batch.captured[row]! > this.#options.snapLength) batch.captured[row] = this.#options.snapLength
    return OK
  }

  #finish(batch: FrameBatch, row: number): void {
    const { fixChecksums, headers: layer } = this.#options
    const offset = batch.offset[row]!
    const captured = batch.captured[row]!
    this.#headers.decode(batch.bytes, offset, captured, batch.linkType[row]!)
    if (fixChecksums) this.#fixer.fix(offset, captured, batch.wireLength[row]!, this.#headers)
    if (layer === 'l2') batch.captured[row] = this.#headers.networkAt
    else if (layer === 'l3') batch.captured[row] = this.#headers.transportAt
    else if (layer === 'l4') batch.captured[row] = Math.min(captured, this.#transportEnd(batch.bytes, offset, captured))
  }

  /** Where the transport header ends; where the network's does, if it is of no kind that is known here. */
  #transportEnd(bytes: Uint8Array, offset: number, captured: number): number {
    const at = this.#headers.transportAt
    switch (this.#headers.protocol) {
      case TCP:
        if (captured <= at + TCP_DATA_OFFSET) return captured
        return at + Math.max(TCP_BYTES, (bytes[offset + at + TCP_DATA_OFFSET]! >> 4) * 4)
      case SCTP:
        return at + 12
      case UDP:
      case UDP_LITE:
      case ICMP:
      case ICMPV6:
        return at + 8
      default:
        return at
    }
  }
}

/** The header that was written for steps that look at Ethernet stays in front of the packet: filters of sinks read it there. */
function bare(batch: FrameBatch, row: number): void {
  if (batch.etherType[row] === ETHERTYPE_ARP) return
  batch.offset[row]! += ETHERNET_HEADER_BYTES
  batch.captured[row] = Math.max(0, batch.captured[row]! - ETHERNET_HEADER_BYTES)
  batch.wireLength[row]! -= ETHERNET_HEADER_BYTES
  batch.linkType[row] = LINKTYPE_RAW
}
