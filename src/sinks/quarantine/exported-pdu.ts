import { ENCAPSULATIONS } from '../../wire/registry.ts'

/**
 * What a socket gives has no outer headers, and headers made up for it would tell lies about ports, identification and TTL.
 * This link type says what is known: which dissector reads the bytes, and who sent them.
 * (tcpdump.org/linktypes/LINKTYPE_WIRESHARK_UPPER_PDU.html)
 */
export const LINKTYPE_WIRESHARK_UPPER_PDU = 252

/** Tags of two bytes, lengths of two, values padded to 4 bytes; all big-endian (wireshark, epan/exported_pdu.h). */
const TAG_END = 0
const TAG_DISSECTOR_TABLE = 14
const TAG_IPV4_SOURCE = 20
const TAG_IPV6_SOURCE = 22
const TAG_DISSECTOR_TABLE_VALUE = 32
const TAG_BYTES = 4
const IPV4_BYTES = 4

/** By index in the registry: the tags that name the dissector, by the port or IP protocol that Wireshark knows it by. */
export function dissectorTags(): Uint8Array[] {
  return ENCAPSULATIONS.map(({ udpPorts, ipProtocol }) => {
    const table = new TextEncoder().encode(ipProtocol === undefined ? 'udp.port' : 'ip.proto')
    const bytes = new Uint8Array(TAG_BYTES + table.length + TAG_BYTES + 4)
    const view = new DataView(bytes.buffer)
    view.setUint16(0, TAG_DISSECTOR_TABLE)
    view.setUint16(2, table.length)
    bytes.set(table, TAG_BYTES)
    view.setUint16(TAG_BYTES + table.length, TAG_DISSECTOR_TABLE_VALUE)
    view.setUint16(TAG_BYTES + table.length + 2, 4)
    view.setUint32(TAG_BYTES + table.length + TAG_BYTES, ipProtocol ?? udpPorts[0]!)
    return bytes
  })
}

/** Bytes that writeSourceAndEnd() writes for an address of `addressBytes`; 0 = the address is not known. */
export function sourceAndEndBytes(addressBytes: number): number {
  return (addressBytes === 0 ? 0 : TAG_BYTES + addressBytes) + TAG_BYTES
}

/** Writes the tag of the sender's address, which the caller then puts at the place that is returned, and the end of tags. */
export function writeSourceAndEnd(view: DataView, at: number, addressBytes: number): number {
  if (addressBytes > 0) {
    view.setUint16(at, addressBytes === IPV4_BYTES ? TAG_IPV4_SOURCE : TAG_IPV6_SOURCE)
    view.setUint16(at + 2, addressBytes)
  }
  view.setUint32(at + sourceAndEndBytes(addressBytes) - TAG_BYTES, TAG_END)
  return at + TAG_BYTES
}
