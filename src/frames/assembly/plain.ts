const LINKTYPE_ETHERNET: u32 = 1
const LINKTYPE_RAW: u32 = 101
const ETHERNET_HEADER_BYTES: u32 = 14
const ETHERTYPE_AT: usize = 12
const ETHERTYPE_IPV4: u32 = 0x0800
const ETHERTYPE_IPV6: u32 = 0x86dd
const ETHERTYPE_8021Q: u32 = 0x8100
const ETHERTYPE_8021AD: u32 = 0x88a8
/** What switches used for stacked tags before 802.1ad. */
const ETHERTYPE_QINQ: u32 = 0x9100
const ETHERTYPE_QINQ_OTHER: u32 = 0x9200
const VLAN_TAG_BYTES: u32 = 4

/** RFC 791 section 3.1: version 4, five words of header. */
const IPV4_WITHOUT_OPTIONS: u32 = 0x45
const IPV4_HEADER_BYTES: u32 = 20
const TOTAL_LENGTH: usize = 2
/** More fragments and fragment offset; in the same word the time to live, and the protocol. */
const FRAGMENT: usize = 6
const FRAGMENT_AND_PROTOCOL: u32 = 0x3fff_00ff
const IPPROTO_UDP: u32 = 17
const SOURCE: usize = 12
/** RFC 768: behind an IPv4 header without options. */
const PORT_AND_LENGTH: usize = 22
const UDP_HEADER_BYTES: u32 = 8
const PLAIN_HEADER_BYTES: u32 = IPV4_HEADER_BYTES + UDP_HEADER_BYTES

/** RFC 7348 section 5. */
const VXLAN_HEADER_BYTES: u32 = 8
const VXLAN_FLAG_VNI_VALID: u32 = 0x08
const VNI: usize = 4

/** EtherType and what is behind it: the first byte of an IPv4 header without options, the first half of that of an IPv6 header. */
const TYPE_AND_IPV4: u32 = 0x08_0045
const TYPE_AND_IPV6: u32 = 0x8_6dd6
const IPV4_TOTAL_LENGTH: usize = 16
const IPV6_PAYLOAD_LENGTH: usize = 18
const IPV6_HEADER_BYTES: u32 = 40
/** Ethernet, and of an IP header as much as is read. */
const LEAST_BYTES: u32 = 20
/** No frame is as long: says that it is for the steps. */
const UNKNOWN: u32 = 0x7fff_ffff

/** As PeerTable keeps the IPv4 senders of late: by the upper bits of a hash, two places each. */
const HASH: u32 = 0x9e37_79b1
const HASH_SHIFT: u32 = 32 - 13
/** What it says of those that may not send, and 0 of a place that is empty. */
const PEER_DENIED: u32 = 1

/**
 * See FastPath in the pipeline. Columns, tables and bit fields are places in memory; `byPort` is 0 where the outer headers
 * are gone, `senders` where it does not matter who sends, `wanted` where all tunnels are.
 * @returns the first row that is for the steps
 */
export function takePlain(
  from: u32,
  to: u32,
  count: u32,
  offset: usize,
  captured: usize,
  wireLength: usize,
  tunnelId: usize,
  encapsulation: usize,
  linkType: usize,
  peer: usize,
  vxlan: i32,
  byPort: usize,
  senders: usize,
  sendersPeers: usize,
  wanted: usize,
  snapLength: u32,
): u32 {
  const type: u32 = load<u16>(linkType + ((from as usize) << 1))
  const link: u32 = type === LINKTYPE_ETHERNET ? ETHERNET_HEADER_BYTES : 0
  if (byPort !== 0 && link === 0 && type !== LINKTYPE_RAW) return from
  const back = (from - to) as usize
  let row = from
  for (; row < count; row++) {
    const i = row as usize
    let at = load<u32>(offset + (i << 2)) as usize
    let present = load<u32>(captured + (i << 2))
    let length = load<u32>(wireLength + (i << 2))
    if (byPort === 0) {
      if ((load<u8>(encapsulation + i) as i32) !== vxlan) break
    } else {
      if (load<u16>(linkType + (i << 1)) !== type || present < link + PLAIN_HEADER_BYTES) break
      if (link !== 0 && uint16At(at + ETHERTYPE_AT) !== ETHERTYPE_IPV4) break
      at += link
      length -= link
      if ((uint32At(at + FRAGMENT) & FRAGMENT_AND_PROTOCOL) !== IPPROTO_UDP) break
      if (load<u8>(at) !== IPV4_WITHOUT_OPTIONS) break
      const portAndLength = uint32At(at + PORT_AND_LENGTH)
      const udpLength = portAndLength & 0xffff
      const totalLength = uint16At(at + TOTAL_LENGTH)
      if (udpLength < UDP_HEADER_BYTES || udpLength + IPV4_HEADER_BYTES > totalLength || totalLength > length) break
      if ((load<i16>(byPort + ((portAndLength >>> 16) << 1)) as i32) !== vxlan) break
      if (senders !== 0) {
        const number = peerOf(uint32At(at + SOURCE), senders, sendersPeers)
        if (number <= PEER_DENIED) break
        store<u16>(peer + (i << 1), number as u16)
      }
      at += PLAIN_HEADER_BYTES
      length = udpLength - UDP_HEADER_BYTES
      present = min(present - link - PLAIN_HEADER_BYTES, length)
    }
    if (present < VXLAN_HEADER_BYTES + LEAST_BYTES || (load<u8>(at) & VXLAN_FLAG_VNI_VALID) === 0) break
    const vni = uint32At(at + VNI) >>> 8
    if (wanted !== 0 && (load<u8>(wanted + (vni >>> 3)) & (1 << (vni & 7))) === 0) break
    // Of sockets it is the source that knows who sends.
    if (byPort === 0 && load<u16>(peer + (i << 1)) === PEER_DENIED) break
    at += VXLAN_HEADER_BYTES
    present -= VXLAN_HEADER_BYTES
    length -= VXLAN_HEADER_BYTES
    if (lengthOnWire(at, present) > length) break
    const place = (i - back) << 2
    store<u32>(offset + place, at as u32)
    store<u32>(captured + place, min(present, snapLength))
    store<u32>(wireLength + place, length)
    store<u32>(tunnelId + place, vni)
  }
  return row
}

/** 0 where it is not among those of late. */
function peerOf(address: u32, senders: usize, sendersPeers: usize): u32 {
  const place = (((address * HASH) >>> HASH_SHIFT) << 1) as usize
  if (load<u32>(senders + (place << 2)) === address) return load<u16>(sendersPeers + (place << 1))
  if (load<u32>(senders + (place << 2), 4) === address) return load<u16>(sendersPeers + (place << 1), 2)
  return 0
}

/** Of an Ethernet frame, as its IP header has it; 0 where there is none. UNKNOWN: a header that takes more to read. */
function lengthOnWire(start: usize, captured: u32): u32 {
  let at = start
  let link = ETHERNET_HEADER_BYTES
  let typeAndVersion = uint32At(at + ETHERTYPE_AT)
  if (typeAndVersion >>> 16 === ETHERTYPE_8021Q) {
    if (captured < LEAST_BYTES + VLAN_TAG_BYTES) return UNKNOWN
    at += VLAN_TAG_BYTES
    link += VLAN_TAG_BYTES
    typeAndVersion = uint32At(at + ETHERTYPE_AT)
  }
  if (typeAndVersion >>> 8 === TYPE_AND_IPV4) return link + uint16At(at + IPV4_TOTAL_LENGTH)
  if (typeAndVersion >>> 12 === TYPE_AND_IPV6) {
    const payload = uint16At(at + IPV6_PAYLOAD_LENGTH)
    return payload === 0 ? UNKNOWN : link + IPV6_HEADER_BYTES + payload
  }
  const etherType = typeAndVersion >>> 16
  const isMore = etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6 || isVlanTag(etherType)
  return isMore ? UNKNOWN : 0
}

function isVlanTag(etherType: u32): boolean {
  return (
    etherType === ETHERTYPE_8021Q ||
    etherType === ETHERTYPE_8021AD ||
    etherType === ETHERTYPE_QINQ ||
    etherType === ETHERTYPE_QINQ_OTHER
  )
}

function uint16At(at: usize): u32 {
  return bswap<u16>(load<u16>(at)) as u32
}

function uint32At(at: usize): u32 {
  return bswap<u32>(load<u32>(at))
}
