import type { FrameBatch } from '../frames/frame-batch.ts'
import type { Listener } from '../sources/source.ts'
import { IS_ETHERNET } from '../wire/ether-type.ts'
import { IpHeader } from '../wire/ip.ts'
import { LinkHeader } from '../wire/link.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'
import { IPPROTO_UDP, UDP_HEADER_BYTES, UdpHeader } from '../wire/udp.ts'
import { OK } from '../wire/verdict.ts'
import { innerTunnels, type TunnelTable } from './tunnel-table.ts'

/** How many tunnels are taken off one frame; `undefined` = one, and a second where that is how a mirror sends. */
export type Depth = number | undefined

/**
 * Finds a tunnel inside what a tunnel carried. The fields hold what the last find() found.
 *
 * A tunnel inside is a guess from a port number: whatever speaks against it (a broken header, a piece of a fragmented
 * packet) means that there is none, never that the frame is lost.
 */
export class NestedTunnels {
  /** By encapsulation: 1 where something inside it may be a tunnel to take off. Zeroes where one tunnel is all. */
  readonly mayHold: Uint8Array
  /** Tunnels that are taken off at most, the outermost included. */
  readonly depth: number
  encapsulation = 0
  offset = 0
  captured = 0
  wireLength = 0

  /** Without a depth, inside which encapsulation which others are mirrors' own; undefined where all are looked for. */
  readonly #tables: readonly (TunnelTable | undefined)[]
  /** Whether Ethernet frames are looked into: mirrors' own nesting is IP right behind the outer tunnel. */
  readonly #throughEthernet: boolean
  readonly #link: LinkHeader = new LinkHeader()
  readonly #ip: IpHeader = new IpHeader()
  readonly #udp: UdpHeader = new UdpHeader()

  constructor(depth: Depth, listeners: readonly Listener[]) {
    this.depth = depth ?? 2
    this.#throughEthernet = depth !== undefined
    const all = depth === undefined || depth === 1 ? undefined : innerTunnels(listeners)
    this.#tables = ENCAPSULATIONS.map(({ mirrorsInside }) =>
      depth === undefined && mirrorsInside !== undefined ? innerTunnels(listeners, mirrorsInside) : all,
    )
    this.mayHold = Uint8Array.from(this.#tables, (table) => (table === undefined ? 0 : 1))
  }

  /** Whether a tunnel lies in the row's payload, whose bytes the kernel, or whoever sent them, need not have meant so. */
  find(batch: FrameBatch, row: number): boolean {
    const table = this.#tables[batch.encapsulation[row]!]
    if (table === undefined) return false
    const bytes = batch.bytes
    let at = batch.offset[row]!
    let captured = batch.captured[row]!
    let wireLength = batch.wireLength[row]!
    let etherType = batch.etherType[row]!
    if (etherType === IS_ETHERNET) {
      const link = this.#link
      if (!this.#throughEthernet || link.decode(bytes, at, captured, LINKTYPE_ETHERNET) !== OK) return false
      at += link.headerBytes
      captured -= link.headerBytes
      wireLength -= link.headerBytes
      etherType = link.etherType
    }
    const ip = this.#ip
    if (ip.decode(bytes, at, captured, wireLength, etherType) !== OK || ip.isFragment) return false
    at += ip.headerBytes
    captured = Math.min(captured - ip.headerBytes, ip.payloadWireLength)
    if (ip.protocol === IPPROTO_UDP) return this.#overUdp(bytes, at, captured, table)
    return this.#found(at, captured, ip.payloadWireLength, table.byProtocol[ip.protocol]!)
  }

  #overUdp(bytes: Uint8Array, at: number, captured: number, table: TunnelTable): boolean {
    const udp = this.#udp
    if (udp.decode(bytes, at, captured, this.#ip.payloadWireLength) !== OK) return false
    const present = Math.min(captured - UDP_HEADER_BYTES, udp.payloadWireLength)
    return this.#found(at + UDP_HEADER_BYTES, present, udp.payloadWireLength, table.byPort[udp.destinationPort]!)
  }

  #found(at: number, captured: number, wireLength: number, encapsulation: number): boolean {
    this.encapsulation = encapsulation
    this.offset = at
    this.captured = captured
    this.wireLength = wireLength
    return encapsulation >= 0
  }
}
