// struct tpacket3_hdr of <linux/if_packet.h>, in bytes; behind it is a struct sockaddr_ll, and behind that the packet.
const NEXT: usize = 0
const SECONDS: usize = 4
const NANOSECONDS: usize = 8
const CAPTURED: usize = 12
const LENGTH: usize = 16
const STATUS: usize = 20
const NETWORK: usize = 26
const HEADER_BYTES: u32 = 68
const VLAN_VALID: u32 = 0x10

/**
 * The kernel has just written the packets on another processor, and each first touch of a cache line waits for it to come
 * from there. Touched this far ahead, one line's way overlaps with the work on others.
 */
const AHEAD_BYTES: usize = 4096
const CACHE_LINE_BYTES: usize = 64

/**
 * Fills rows from 0 on with packets of the block [block, end), whose next header is at the place that the first word of `cursor`
 * holds; there is left the place of the one behind, and in the next words what is touched already and what was read there.
 * A packet whose lengths cannot be gets a row with nothing captured.
 * @returns how many rows came with a VLAN tag: they are in `tagged`
 */
export function readBlock(
  cursor: usize,
  block: usize,
  end: usize,
  rows: u32,
  offset: usize,
  captured: usize,
  wireLength: usize,
  seconds: usize,
  nanoseconds: usize,
  tagged: usize,
): u32 {
  let at: usize = load<u32>(cursor)
  let touched: usize = load<u32>(cursor, 4)
  if (touched < at || touched > end) touched = at
  let seen: u32 = 0
  let tags: u32 = 0
  for (let row: u32 = 0; row < rows; row++) {
    const soon = end - at > AHEAD_BYTES ? at + AHEAD_BYTES : end
    for (; touched < soon; touched += CACHE_LINE_BYTES) seen |= load<u32>(touched)
    const column = (row as usize) << 2
    let start = block
    let present: u32 = 0
    let length: u32 = 0
    if (end - at >= HEADER_BYTES && (at & 3) === 0) {
      const network: u32 = load<u16>(at + NETWORK)
      const room = (end - at) as u32
      const stated = load<u32>(at + CAPTURED)
      store<u32>(seconds + column, load<u32>(at + SECONDS))
      store<u32>(nanoseconds + column, load<u32>(at + NANOSECONDS))
      if (load<u32>(at + STATUS) & VLAN_VALID) store<u16>(tagged + ((tags++ as usize) << 1), row as u16)
      // Differences, as sums of what may be lies go round at 2^32.
      if (network >= HEADER_BYTES && network <= room && stated <= room - network) {
        const onTheWire = load<u32>(at + LENGTH)
        if (stated <= onTheWire) {
          start = at + network
          present = stated
          length = onTheWire
        }
      }
      const next = load<u32>(at + NEXT)
      // The last packet of a block has 0. Where another should follow, its header cannot be found: no place beyond the block.
      at = next === 0 || next > room ? end : at + next
    }
    store<u32>(offset + column, start as u32)
    store<u32>(captured + column, present)
    store<u32>(wireLength + column, length)
  }
  store<u32>(cursor, at as u32)
  store<u32>(cursor, touched as u32, 4)
  store<u32>(cursor, seen, 8)
  return tags
}
