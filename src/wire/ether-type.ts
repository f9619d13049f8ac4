/** EtherTypes (IEEE 802 numbers), also the protocol types of GRE (RFC 2784 section 2.4) and Geneve (RFC 8926 section 3.4). */
export const ETHERTYPE_IPV4 = 0x0800
export const ETHERTYPE_ARP = 0x0806
export const ETHERTYPE_IPV6 = 0x86dd
/** Transparent Ethernet Bridging: the payload is an Ethernet frame, RFC 1701. */
export const ETHERTYPE_TEB = 0x6558

/** What Decapsulator.etherType says of a payload that is an Ethernet frame already. */
export const IS_ETHERNET = 0

/** Whether a payload of this type, without an Ethernet header of its own, is traffic that somebody mirrored. */
export function isNetworkPacket(etherType: number): boolean {
  return etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6 || etherType === ETHERTYPE_ARP
}
