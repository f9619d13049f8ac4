import { ETHERTYPE_IPV4 } from '../wire/ether-type.ts'
import { uint16 } from '../wire/read.ts'

/** RFC 791 section 3.1, RFC 8200 section 3: where the addresses are, and how many bytes. */
const IPV4_ADDRESSES = 12
const IPV4_ADDRESSES_BYTES = 8
const IPV6_ADDRESSES = 8
const IPV6_ADDRESSES_BYTES = 32

/**
 * What a transport checksum covers beside its own segment, but for the length: addresses and protocol (RFC 9293 section
 * 3.1, RFC 8200 section 8.1). Not folded. `network`: where the IP header, IPv4's or IPv6's, begins; it is whole.
 */
export function pseudoHeaderSum(bytes: Uint8Array, network: number, etherType: number, protocol: number): number {
  const isIpv4 = etherType === ETHERTYPE_IPV4
  const start = network + (isIpv4 ? IPV4_ADDRESSES : IPV6_ADDRESSES)
  const end = start + (isIpv4 ? IPV4_ADDRESSES_BYTES : IPV6_ADDRESSES_BYTES)
  let sum = protocol
  // For a few words at any address this is faster than InternetChecksum.
  for (let at = start; at < end; at += 2) sum += uint16(bytes, at)
  return sum
}
