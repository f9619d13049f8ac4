import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, isVlanTag, VLAN_TAG_BYTES } from './ether-type.ts'
import {
  LINKTYPE_ETHERNET,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_LINUX_SLL2,
  LINKTYPE_LOOP,
  LINKTYPE_NULL,
  LINKTYPE_RAW,
} from './link-type.ts'
import { uint16 } from './read.ts'
import { BAD_OUTER, OK, UNKNOWN_ENCAPSULATION, type Verdict } from './verdict.ts'

/** Destination, source, EtherType: IEEE 802.3 without the frame check sequence, which tunnels leave out. */
export const ETHERNET_HEADER_BYTES = 14
/** LINUX_SLL: packet type, ARPHRD, address length, address, protocol; SLL2 starts with the protocol. */
const SLL_HEADER_BYTES = 16
const SLL2_HEADER_BYTES = 20
const NULL_HEADER_BYTES = 4

/** Finds the network header behind a link header. The fields hold what the last decode() found. */
export class LinkHeader {
  /** Bytes of link header, VLAN tags included. */
  headerBytes = 0
  /** EtherType of what follows. */
  etherType = 0

  decode(bytes: Uint8Array, offset: number, captured: number, linkType: number): Verdict {
    switch (linkType) {
      case LINKTYPE_ETHERNET:
        return this.#tagged(bytes, offset, captured, ETHERNET_HEADER_BYTES, ETHERNET_HEADER_BYTES - 2)
      case LINKTYPE_LINUX_SLL:
        return this.#tagged(bytes, offset, captured, SLL_HEADER_BYTES, SLL_HEADER_BYTES - 2)
      case LINKTYPE_LINUX_SLL2:
        return this.#tagged(bytes, offset, captured, SLL2_HEADER_BYTES, 0)
      case LINKTYPE_RAW:
      case LINKTYPE_IPV4:
      case LINKTYPE_IPV6:
        return this.#byIpVersion(bytes, offset, captured, 0)
      case LINKTYPE_NULL:
      case LINKTYPE_LOOP:
        return this.#byIpVersion(bytes, offset, captured, NULL_HEADER_BYTES)
      default:
        return UNKNOWN_ENCAPSULATION
    }
  }

  #tagged(bytes: Uint8Array, offset: number, captured: number, headerBytes: number, typeAt: number): Verdict {
    if (captured < headerBytes) return BAD_OUTER
    let etherType = uint16(bytes, offset + typeAt)
    let end = headerBytes
    while (isVlanTag(etherType)) {
      if (captured < end + VLAN_TAG_BYTES) return BAD_OUTER
      etherType = uint16(bytes, offset + end + 2)
      end += VLAN_TAG_BYTES
    }
    this.headerBytes = end
    this.etherType = etherType
    return OK
  }

  /** LINKTYPE_NULL's address family differs between systems and byte orders; the IP version nibble does not. */
  #byIpVersion(bytes: Uint8Array, offset: number, captured: number, headerBytes: number): Verdict {
    if (captured <= headerBytes) return BAD_OUTER
    const version = bytes[offset + headerBytes]! >> 4
    if (version !== 4 && version !== 6) return UNKNOWN_ENCAPSULATION
    this.headerBytes = headerBytes
    this.etherType = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6
    return OK
  }
}
