import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../wire/ether-type.ts'
import { InnerHeaders, PROTOCOL_UNKNOWN } from '../wire/inner-headers.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { uint16 } from '../wire/read.ts'

const IPPROTO_ICMP = 1
const IPPROTO_TCP = 6
const IPPROTO_UDP = 17
const IPPROTO_ICMPV6 = 58
const IPPROTO_SCTP = 132

const IPV4_PROTOCOL = 9
const IPV4_SOURCE = 12
const IPV4_BYTES = 20
const IPV6_SOURCE = 8
const IPV6_BYTES = 40
const MAC_BYTES = 6
const PORT_BYTES = 2

const ONE_WAY = -1

/** Which type of message answers which, as Community ID has it; the others are no exchanges. */
const ICMP_ANSWERS = answers([8, 0], [13, 14], [15, 16], [10, 9], [17, 18])
const ICMPV6_ANSWERS = answers([128, 129], [130, 131], [133, 134], [135, 136], [139, 140], [144, 145])

/** What can be told of the flow that a frame belongs to. */
export type FlowKind = 'ip' | 'link' | 'none'

/**
 * The flow that a frame belongs to, read into fields; nothing is allocated. Addresses are places in the bytes that were
 * given, and are good for as long as those.
 */
export class Flow {
  /** Of IP addresses and protocol; of MAC addresses, where the frame carries no IP; or cut off in front of both. */
  kind: FlowKind = 'none'
  /** 4, 6 or 16. */
  addressBytes = 0
  sourceAt = 0
  destinationAt = 0
  /** Of IP: what follows its headers; behind extension headers that were cut off, PROTOCOL_UNKNOWN. Else the EtherType. */
  protocol = 0
  /** Ports, or an ICMP message's type and that of its answer, or type and code where nothing answers it; -1 = none seen. */
  sourcePort: number = -1
  destinationPort: number = -1
  /** An ICMP message that has no answer: the other direction is another flow. */
  isOneWay = false
  /** A piece of an IP packet; only the first has ports. */
  isFragment = false
  readonly #headers: InnerHeaders = new InnerHeaders()

  decode(bytes: Uint8Array, offset: number, captured: number, linkType: number): void {
    const headers = this.#headers
    headers.decode(bytes, offset, captured, linkType)
    this.sourcePort = -1
    this.destinationPort = -1
    this.isOneWay = false
    this.isFragment = headers.isFragment
    this.protocol = headers.protocol
    const at = offset + headers.networkAt
    const present = captured - headers.networkAt
    if (headers.etherType === ETHERTYPE_IPV4 && present >= IPV4_BYTES && bytes[at]! >> 4 === 4) {
      this.#addresses('ip', at + IPV4_SOURCE, 4)
      // A later piece tells the protocol, too, but has nothing of its header.
      this.protocol = bytes[at + IPV4_PROTOCOL]!
    } else if (headers.etherType === ETHERTYPE_IPV6 && present >= IPV6_BYTES && bytes[at]! >> 4 === 6) {
      this.#addresses('ip', at + IPV6_SOURCE, 16)
    } else {
      this.#link(offset, captured, linkType)
      return
    }
    if (headers.protocol !== PROTOCOL_UNKNOWN)
      this.#ports(bytes, offset + headers.transportAt, captured - headers.transportAt)
  }

  #addresses(kind: FlowKind, sourceAt: number, addressBytes: number): void {
    this.kind = kind
    this.sourceAt = sourceAt
    this.destinationAt = sourceAt + addressBytes
    this.addressBytes = addressBytes
  }

  #link(offset: number, captured: number, linkType: number): void {
    this.kind = 'none'
    this.addressBytes = 0
    if (linkType !== LINKTYPE_ETHERNET || captured < ETHERNET_HEADER_BYTES) return
    this.kind = 'link'
    this.addressBytes = MAC_BYTES
    this.destinationAt = offset
    this.sourceAt = offset + MAC_BYTES
    this.protocol = this.#headers.etherType
  }

  #ports(bytes: Uint8Array, at: number, present: number): void {
    switch (this.protocol) {
      case IPPROTO_TCP:
      case IPPROTO_UDP:
      case IPPROTO_SCTP:
        if (present < 2 * PORT_BYTES) return
        this.sourcePort = uint16(bytes, at)
        this.destinationPort = uint16(bytes, at + PORT_BYTES)
        return
      case IPPROTO_ICMP:
        if (present >= 2) this.#message(bytes[at]!, bytes[at + 1]!, ICMP_ANSWERS)
        return
      case IPPROTO_ICMPV6:
        if (present >= 2) this.#message(bytes[at]!, bytes[at + 1]!, ICMPV6_ANSWERS)
    }
  }

  #message(type: number, code: number, answer: Int16Array): void {
    this.isOneWay = answer[type] === ONE_WAY
    this.sourcePort = type
    this.destinationPort = this.isOneWay ? code : answer[type]!
  }
}

/** Type -> the type at the other end of the exchange. */
function answers(...exchanges: readonly (readonly [number, number])[]): Int16Array {
  const table = new Int16Array(256).fill(ONE_WAY)
  for (const [question, answer] of exchanges) {
    table[question] = answer
    table[answer] = question
  }
  return table
}
