import { createHash } from 'node:crypto'
import type { Flow } from './flow.ts'

const VERSION = '1:'

/**
 * The flow's Community ID, version 1 (https://github.com/corelight/community-id-spec): the same for both directions, and
 * in every tool that knows it, such as Zeek, Suricata and Wireshark. `bytes` are those that the flow was decoded from;
 * `seed` has 16 bits, 0 everywhere by default. Undefined where there is no IP. Costs 2 us: it is a SHA-1.
 */
export function communityId(flow: Flow, bytes: Uint8Array, seed: number = 0): string | undefined {
  if (flow.kind !== 'ip' || flow.protocol < 0) return undefined
  const size = flow.addressBytes
  const hasPorts = flow.sourcePort >= 0
  const input = new Uint8Array(2 + 2 * size + 2 + (hasPorts ? 4 : 0))
  const view = new DataView(input.buffer)
  const forward = flow.isOneWay || isOrdered(flow, bytes)
  view.setUint16(0, seed)
  copyAddress(bytes, forward ? flow.sourceAt : flow.destinationAt, size, input, 2)
  copyAddress(bytes, forward ? flow.destinationAt : flow.sourceAt, size, input, 2 + size)
  input[2 + 2 * size] = flow.protocol
  if (hasPorts) {
    view.setUint16(4 + 2 * size, forward ? flow.sourcePort : flow.destinationPort)
    view.setUint16(6 + 2 * size, forward ? flow.destinationPort : flow.sourcePort)
  }
  return VERSION + createHash('sha1').update(input).digest('base64')
}

/** The smaller address first; of equal ones, the smaller port. */
function isOrdered(flow: Flow, bytes: Uint8Array): boolean {
  for (let i = 0; i < flow.addressBytes; i++) {
    const difference = bytes[flow.sourceAt + i]! - bytes[flow.destinationAt + i]!
    if (difference !== 0) return difference < 0
  }
  return flow.sourcePort <= flow.destinationPort
}

function copyAddress(bytes: Uint8Array, from: number, size: number, into: Uint8Array, at: number): void {
  for (let i = 0; i < size; i++) into[at + i] = bytes[from + i]!
}
