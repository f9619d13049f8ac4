import type { FrameBatch } from '../../frames/frame-batch.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, isVlanTag, VLAN_TAG_BYTES } from '../../wire/ether-type.ts'
import { uint16 } from '../../wire/read.ts'

const IPV6_HEADER_BYTES = 40

/**
 * Skips the VLAN tags that the kernel has left in front of the IP header: it takes off one, and does not tell whether
 * another follows. (`sll_protocol` told before Linux 6.11; now it names what is behind all tags.) So the bytes decide.
 */
export function skipTags(batch: FrameBatch, rows: Uint16Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const row = rows[i]!
    while (startsWithTag(batch, row)) {
      batch.offset[row]! += VLAN_TAG_BYTES
      batch.captured[row]! -= VLAN_TAG_BYTES
      batch.wireLength[row]! -= VLAN_TAG_BYTES
    }
  }
}

/**
 * Two bytes of tag, then the EtherType of what follows. Read as an IPv4 header the EtherType is the length, 2 KiB or
 * more; only a packet of exactly that length can be one.
 */
function startsWithTag(batch: FrameBatch, row: number): boolean {
  if (batch.captured[row]! <= VLAN_TAG_BYTES) return false
  const at = batch.offset[row]!
  const etherType = uint16(batch.bytes, at + 2)
  const version = batch.bytes[at + VLAN_TAG_BYTES]! >> 4
  const follows =
    (etherType === ETHERTYPE_IPV4 && version === 4) ||
    (etherType === ETHERTYPE_IPV6 && version === 6) ||
    isVlanTag(etherType)
  return follows && !isIpOfThatLength(batch, row)
}

function isIpOfThatLength(batch: FrameBatch, row: number): boolean {
  const at = batch.offset[row]!
  const version = batch.bytes[at]! >> 4
  if (version === 4) return uint16(batch.bytes, at + 2) === batch.wireLength[row]
  return (
    version === 6 &&
    batch.captured[row]! > 5 &&
    uint16(batch.bytes, at + 4) + IPV6_HEADER_BYTES === batch.wireLength[row]
  )
}
