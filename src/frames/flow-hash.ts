import { uint16, uint32 } from '../wire/read.ts'
import type { Flow } from './flow.ts'

/**
 * 32 bits of the flow, the same for both directions and in every collector: there is no seed. All pieces of an IP packet
 * get the same, that of their addresses, as only one of them tells protocol and ports.
 */
export function flowHash(flow: Flow, bytes: Uint8Array): number {
  const { addressBytes, isFragment } = flow
  const source = endpoint(bytes, flow.sourceAt, addressBytes, isFragment ? -1 : flow.sourcePort)
  const destination = endpoint(bytes, flow.destinationAt, addressBytes, isFragment ? -1 : flow.destinationPort)
  // The sum and the difference together tell a pair, and not its order.
  return mix(mix((source + destination) | 0) ^ (source ^ destination) ^ (isFragment ? -1 : flow.protocol)) >>> 0
}

function endpoint(bytes: Uint8Array, at: number, addressBytes: number, port: number): number {
  // Mixed by itself: in a network where ports follow addresses the two would cancel each other out.
  let hash = mix(port)
  if (addressBytes === 6) return mix(mix(hash ^ uint32(bytes, at)) ^ uint16(bytes, at + 4))
  for (let i = 0; i < addressBytes; i += 4) hash = mix(hash ^ uint32(bytes, at + i))
  return hash
}

/** A permutation of 32 bits in which each bit depends on all: MurmurHash3's last step (Austin Appleby, public domain). */
function mix(value: number): number {
  let bits = value
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}
