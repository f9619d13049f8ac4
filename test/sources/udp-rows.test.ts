import { expect, test } from 'vitest'
import { SOCKADDR_BYTES } from '../../src/dgram-extended/socket-address.ts'
import { CidrList } from '../../src/frames/cidr-list.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { PEER_DENIED, PeerTable } from '../../src/frames/peer-table.ts'
import { labelRows } from '../../src/sources/udp-rows.ts'
import { LINKTYPE_TUNNEL } from '../../src/wire/link-type.ts'
import { hex } from '../wire/bytes.ts'

/** struct sockaddr_in and sockaddr_in6 of Linux: family in the host's order, port, (flow,) address, (scope). */
const NAMES = [
  '0200 c000 0a000001 0000000000000000',
  '0a00 c000 00000000 20010db8000000000000000000000001 00000000',
  '0a00 c000 00000000 00000000000000000000ffff0a000001 00000000',
  '0200 c000 c0000201 0000000000000000',
]

function label(peers: PeerTable | undefined): FrameBatch {
  const batch = new FrameBatch(new SharedArrayBuffer(8), 8)
  const names = new Uint8Array(8 * SOCKADDR_BYTES)
  for (const [row, name] of NAMES.entries()) names.set(hex(name), row * SOCKADDR_BYTES)
  batch.count = NAMES.length
  batch.peer.fill(999)
  batch.encapsulation.fill(9)
  labelRows(batch, 3, names, peers)
  return batch
}

test('all rows of a socket carry its tunnel, and no other rows', () => {
  const batch = label(undefined)
  expect([...batch.encapsulation]).toEqual([3, 3, 3, 3, 9, 9, 9, 9])
  expect([...batch.linkType.subarray(0, 4)]).toEqual(new Array(4).fill(LINKTYPE_TUNNEL))
})

test('where nobody asks who sends, the peers are left alone', () => {
  expect([...label(undefined).peer]).toEqual(new Array(8).fill(999))
})

test('senders are told apart by family and address; IPv4 and its mapped form are one', () => {
  const peers = new PeerTable(10, undefined)
  const batch = label(peers)
  expect([0, 1, 2, 3].map((row) => peers.text(batch.peer[row]!))).toEqual([
    '10.0.0.1',
    '2001:db8::1',
    '10.0.0.1',
    '192.0.2.1',
  ])
  expect([...batch.peer.subarray(4)]).toEqual(new Array(4).fill(999))
})

test('senders outside of the networks that are allowed are denied', () => {
  const batch = label(new PeerTable(10, new CidrList(['10.0.0.0/8'])))
  expect([...batch.peer.subarray(0, 4)].map((peer) => peer === PEER_DENIED)).toEqual([false, true, false, true])
})
