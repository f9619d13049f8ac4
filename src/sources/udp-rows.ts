import { AF_INET6 } from '../dgram-extended/libc.ts'
import { addressOffset, familyAt, SOCKADDR_BYTES } from '../dgram-extended/socket-address.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import type { PeerTable } from '../frames/peer-table.ts'
import { LINKTYPE_TUNNEL } from '../wire/link-type.ts'

const IPV4_BYTES = 4
const IPV6_BYTES = 16

/** Fills the columns that a socket knows for all its datagrams: which tunnel they carry, and, where it matters, who sent each. */
export function labelRows(
  batch: FrameBatch,
  encapsulation: number,
  names: Uint8Array,
  peers: PeerTable | undefined,
): void {
  batch.encapsulation.fill(encapsulation, 0, batch.count)
  batch.linkType.fill(LINKTYPE_TUNNEL, 0, batch.count)
  if (peers === undefined) return
  for (let row = 0; row < batch.count; row++) {
    const at = row * SOCKADDR_BYTES
    const length = familyAt(names, at) === AF_INET6 ? IPV6_BYTES : IPV4_BYTES
    batch.peer[row] = peers.indexOf(names, addressOffset(names, at), length)
  }
}
