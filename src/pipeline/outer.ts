import type { FrameBatch } from '../frames/frame-batch.ts'
import type { HeldPieces } from '../frames/held-pieces.ts'
import type { PeerTable } from '../frames/peer-table.ts'
import { PIECE_COMPLETED, type Reassembler } from '../frames/reassembler.ts'
import type { PipelineCounters } from '../telemetry/counters.ts'
import { ETHERTYPE_IPV4 } from '../wire/ether-type.ts'
import { IpHeader } from '../wire/ip.ts'
import { LinkHeader } from '../wire/link.ts'
import { LINKTYPE_TUNNEL } from '../wire/link-type.ts'
import { PLAIN_HEADER_BYTES, PLAIN_SOURCE, plainUdp } from '../wire/plain-udp.ts'
import { IPPROTO_UDP, UDP_HEADER_BYTES, UdpHeader } from '../wire/udp.ts'
import {
  BAD_OUTER,
  FRAGMENT_INCOMPLETE,
  FRAGMENT_REASSEMBLED,
  OK,
  UNKNOWN_ENCAPSULATION,
  type Verdict,
} from '../wire/verdict.ts'
import { HELD, type Step } from './step.ts'
import type { TunnelTable } from './tunnel-table.ts'

/** Takes off the outer link, IP and UDP headers, puts outer fragments together, and tells which tunnel it is. */
export class OuterStep implements Step {
  readonly #tunnels: TunnelTable
  readonly #peers: PeerTable | undefined
  readonly #reassembler: Reassembler
  /** Absent where nobody asks for pieces that were lost. */
  readonly #held: HeldPieces | undefined
  readonly #counters: PipelineCounters
  readonly #link: LinkHeader = new LinkHeader()
  readonly #ip: IpHeader = new IpHeader()
  readonly #udp: UdpHeader = new UdpHeader()
  #reassembled = 0
  #incomplete = 0

  constructor(
    tunnels: TunnelTable,
    peers: PeerTable | undefined,
    reassembler: Reassembler,
    held: HeldPieces | undefined,
    counters: PipelineCounters,
  ) {
    this.#tunnels = tunnels
    this.#peers = peers
    this.#reassembler = reassembler
    this.#held = held
    this.#counters = counters
  }

  /** The sinks have seen the batch: counts its pieces, and the memory of completed datagrams may be used again. */
  endBatch(): void {
    this.#reassembler.endBatch()
    this.#countPieces()
  }

  /** No packet follows: pieces that still wait are given up. */
  close(): void {
    this.#reassembler.close()
    this.#countPieces()
  }

  judge(batch: FrameBatch, row: number): Verdict {
    const bytes = batch.bytes
    let at = batch.offset[row]!
    let captured = batch.captured[row]!
    let wireLength = batch.wireLength[row]!
    const linkVerdict = this.#link.decode(bytes, at, captured, batch.linkType[row]!)
    if (linkVerdict !== OK) return linkVerdict
    at += this.#link.headerBytes
    captured -= this.#link.headerBytes
    wireLength -= this.#link.headerBytes
    if (this.#link.etherType === ETHERTYPE_IPV4 && this.#plainIpv4(batch, row, at, captured, wireLength)) return OK
    const ip = this.#ip
    const ipVerdict = ip.decode(bytes, at, captured, wireLength, this.#link.etherType)
    if (ipVerdict !== OK) return ipVerdict
    // Linux throws such packets away, too (ip_rcv, ipv6_rcv): what the header promises was never there.
    if (ip.headerBytes + ip.payloadWireLength > wireLength) return BAD_OUTER
    at += ip.headerBytes
    // Behind the IP packet there may be an Ethernet trailer; a cut capture ends before the packet does.
    captured = Math.min(captured - ip.headerBytes, ip.payloadWireLength)
    wireLength = ip.payloadWireLength
    const encapsulation = this.#tunnels.byProtocol[ip.protocol]!
    if (encapsulation < 0 && ip.protocol !== IPPROTO_UDP) return UNKNOWN_ENCAPSULATION
    if (ip.isFragment) {
      this.#held?.expect(batch, row)
      const result = this.#reassembler.add(ip, at, captured, wireLength, batch.seconds[row]!)
      if (result !== PIECE_COMPLETED) return HELD
      at = this.#reassembler.start
      captured = this.#reassembler.captured
      wireLength = this.#reassembler.wireLength
    }
    if (encapsulation < 0) return this.#udpPayload(batch, row, at, captured, wireLength)
    this.#found(batch, row, at, captured, wireLength, encapsulation)
    return OK
  }

  /**
   * The way that nearly every packet takes: IPv4 without options and not a fragment, UDP, a port that is listened for, and
   * lengths that fit. It finds what the way of all others finds, sooner; false leaves the packet to that one.
   */
  #plainIpv4(batch: FrameBatch, row: number, at: number, captured: number, wireLength: number): boolean {
    const portAndLength = plainUdp(batch.view, at, captured, wireLength)
    const encapsulation = this.#tunnels.byPort[portAndLength >>> 16]!
    if (portAndLength === 0 || encapsulation < 0) return false
    const payload = (portAndLength & 0xffff) - UDP_HEADER_BYTES
    const present = Math.min(captured - PLAIN_HEADER_BYTES, payload)
    if (this.#peers !== undefined) batch.peer[row] = this.#peers.indexOf(batch.bytes, at + PLAIN_SOURCE, 4)
    this.#place(batch, row, at + PLAIN_HEADER_BYTES, present, payload, encapsulation)
    return true
  }

  #udpPayload(batch: FrameBatch, row: number, at: number, captured: number, wireLength: number): Verdict {
    const udp = this.#udp
    const verdict = udp.decode(batch.bytes, at, captured, wireLength)
    if (verdict !== OK) return verdict
    const encapsulation = this.#tunnels.byPort[udp.destinationPort]!
    if (encapsulation < 0) return UNKNOWN_ENCAPSULATION
    const present = Math.min(captured - UDP_HEADER_BYTES, udp.payloadWireLength)
    this.#found(batch, row, at + UDP_HEADER_BYTES, present, udp.payloadWireLength, encapsulation)
    return OK
  }

  #found(
    batch: FrameBatch,
    row: number,
    at: number,
    captured: number,
    wireLength: number,
    encapsulation: number,
  ): void {
    if (this.#peers !== undefined) {
      batch.peer[row] = this.#peers.indexOf(batch.bytes, this.#ip.sourceAt, this.#ip.addressBytes)
    }
    this.#place(batch, row, at, captured, wireLength, encapsulation)
  }

  #place(
    batch: FrameBatch,
    row: number,
    at: number,
    captured: number,
    wireLength: number,
    encapsulation: number,
  ): void {
    batch.offset[row] = at
    batch.captured[row] = captured
    batch.wireLength[row] = wireLength
    batch.encapsulation[row] = encapsulation
    batch.linkType[row] = LINKTYPE_TUNNEL
  }

  #countPieces(): void {
    const reassembler = this.#reassembler
    this.#counters.addVerdict(FRAGMENT_REASSEMBLED, reassembler.reassembled - this.#reassembled)
    this.#counters.addVerdict(FRAGMENT_INCOMPLETE, reassembler.incomplete - this.#incomplete)
    this.#counters.held = reassembler.held
    this.#reassembled = reassembler.reassembled
    this.#incomplete = reassembler.incomplete
  }
}
