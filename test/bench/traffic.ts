/** Frames that the benchmarks send: VXLAN around Ethernet, IPv4 and UDP with a sequence number. */

export const VNI = 100
export const VXLAN_PORT = 4789
export const VXLAN_HEADER_BYTES = 8

const ETHERNET_HEADER_BYTES = 14
const IPV4_HEADER_BYTES = 20
const UDP_HEADER_BYTES = 8
const HEADERS_BYTES = ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + UDP_HEADER_BYTES
const ETHERTYPE_IPV4 = 0x0800
const DO_NOT_FRAGMENT = 0x4000
const PROTOCOL_UDP = 17
const VXLAN_FLAG_VNI_VALID = 0x08
/** RFC 5737: addresses for documentation. */
const SOURCE_ADDRESS = 0xc0000201
const DESTINATION_ADDRESS = 0xc6336401

/** Where the 32-bit sequence number is, from the start of a VXLAN header. */
export const SEQUENCE_OFFSET: number = VXLAN_HEADER_BYTES + HEADERS_BYTES
/** The smallest inner frame that has room for the sequence number. */
export const SMALLEST_INNER_FRAME: number = HEADERS_BYTES + 4

/** The UDP payload of one mirrored frame: a VXLAN header and `innerBytes` of frame. */
export function vxlanPayload(innerBytes: number): Uint8Array {
  const bytes = new Uint8Array(VXLAN_HEADER_BYTES + innerBytes)
  bytes[0] = VXLAN_FLAG_VNI_VALID
  new DataView(bytes.buffer).setUint32(4, VNI * 0x100)
  writeFrame(bytes, VXLAN_HEADER_BYTES, innerBytes, 40_000, 50_000)
  return bytes
}

/** A whole packet as an interface of the collecting host sees it, `packetBytes` long. */
export function vxlanPacket(packetBytes: number): Uint8Array {
  const bytes = new Uint8Array(packetBytes)
  writeFrame(bytes, 0, packetBytes, 49_152, VXLAN_PORT)
  bytes.set(vxlanPayload(packetBytes - OUTER_BYTES), HEADERS_BYTES)
  return bytes
}

/** Bytes of a packet from `vxlanPacket` in front of its inner frame. */
export const OUTER_BYTES: number = HEADERS_BYTES + VXLAN_HEADER_BYTES

/** Where the 32-bit word with the VNI is in what `vxlanPacket` makes. */
export const PACKET_VNI_OFFSET: number = HEADERS_BYTES + 4

/** Where the 32-bit sequence number is in what `vxlanPacket` makes. */
export const PACKET_SEQUENCE_OFFSET: number = HEADERS_BYTES + SEQUENCE_OFFSET

/** Gives what `vxlanPacket` made other outer addresses, as 32-bit numbers. */
export function readdress(packet: Uint8Array, source: number, destination: number): void {
  const view = new DataView(packet.buffer)
  view.setUint32(ETHERNET_HEADER_BYTES + 12, source)
  view.setUint32(ETHERNET_HEADER_BYTES + 16, destination)
  view.setUint16(ETHERNET_HEADER_BYTES + 10, 0)
  view.setUint16(ETHERNET_HEADER_BYTES + 10, headerChecksum(view, ETHERNET_HEADER_BYTES))
}

function writeFrame(bytes: Uint8Array, at: number, length: number, sourcePort: number, destinationPort: number): void {
  const view = new DataView(bytes.buffer, at, length)
  bytes.set([0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01], at)
  view.setUint16(12, ETHERTYPE_IPV4)
  const ip = ETHERNET_HEADER_BYTES
  view.setUint8(ip, 0x45)
  view.setUint16(ip + 2, length - ip)
  view.setUint16(ip + 6, DO_NOT_FRAGMENT)
  view.setUint8(ip + 8, 64)
  view.setUint8(ip + 9, PROTOCOL_UDP)
  view.setUint32(ip + 12, SOURCE_ADDRESS)
  view.setUint32(ip + 16, DESTINATION_ADDRESS)
  view.setUint16(ip + 10, headerChecksum(view, ip))
  const udp = ip + IPV4_HEADER_BYTES
  view.setUint16(udp, sourcePort)
  view.setUint16(udp + 2, destinationPort)
  // RFC 768: a checksum of 0 means that the sender computed none.
  view.setUint16(udp + 4, length - udp)
  for (let i = HEADERS_BYTES; i < length; i++) view.setUint8(i, i & 0xff)
}

/** RFC 1071, over an IPv4 header without options whose checksum field is still 0. */
function headerChecksum(view: DataView, at: number): number {
  let sum = 0
  for (let i = 0; i < IPV4_HEADER_BYTES; i += 2) sum += view.getUint16(at + i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
