/** EtherTypes (IEEE 802 numbers), also the protocol types of GRE (RFC 2784 section 2.4) and Geneve (RFC 8926 section 3.4). */
export const ETHERTYPE_IPV4 = 0x0800
export const ETHERTYPE_ARP = 0x0806
export const ETHERTYPE_IPV6 = 0x86dd
/** Transparent Ethernet Bridging: the payload is an Ethernet frame, RFC 1701. */
export const ETHERTYPE_TEB = 0x6558

export const ETHERTYPE_8021Q = 0x8100
const ETHERTYPE_8021AD = 0x88a8
/** What switches used for stacked tags before 802.1ad. */
const ETHERTYPE_QINQ = 0x9100
const ETHERTYPE_QINQ_OTHER = 0x9200
/** Tag control information, and the EtherType of what follows. */
export const VLAN_TAG_BYTES = 4

export function isVlanTag(etherType: number): boolean {
  return (
    etherType === ETHERTYPE_8021Q ||
    etherType === ETHERTYPE_8021AD ||
    etherType === ETHERTYPE_QINQ ||
    etherType === ETHERTYPE_QINQ_OTHER
  )
}

/** What Decapsulator.etherType says of a payload that is an Ethernet frame already. */
export const IS_ETHERNET = 0

/** Whether a payload of this type, without an Ethernet header of its own, is traffic that somebody mirrored. */
export function isNetworkPacket(etherType: number): boolean {
  return etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6 || etherType === ETHERTYPE_ARP
}
