import type { TunnelNotes } from './tunnel-notes.ts'
import type { Verdict } from './verdict.ts'

/** Reads one tunnel's header. The fields hold what the last decode() found and mean nothing unless it returned OK. */
export interface Decapsulator {
  /** VNI, VSID, key or session; 0 where the header has none. */
  readonly tunnelId: number
  /** Bytes from the start of the tunnel's header to the start of the payload. */
  readonly headerBytes: number
  /** IS_ETHERNET when the payload is an Ethernet frame; else the payload's EtherType, and it has no Ethernet header. */
  readonly etherType: number
  /** Where the header says more than these; absent where it never does. */
  readonly notes?: TunnelNotes
  /**
   * Reads only bytes[offset, offset + captured); never throws. `wireLength`: what the header and its payload had on the
   * wire, at least `captured`.
   */
  decode(bytes: Uint8Array, offset: number, captured: number, wireLength: number): Verdict
}

export interface DecapsulatorOptions {
  /** Refuse set reserved bits, which the RFCs tell receivers to ignore. */
  readonly strict: boolean
  /** What GRE's key is where it carries Ethernet: all 32 bits, or NVGRE's VSID in the upper 24 (RFC 7637). */
  readonly greKeyMode?: GreKeyMode
}

export type GreKeyMode = 'key' | 'vsid'

/** A row of the registry of encapsulations. */
export interface Encapsulation {
  /** As in `--listen NAME://` and `{encap}`. */
  readonly name: string
  /** For --help: what its tunnel identifier is. */
  readonly identifier: string
  /** The largest that its header can carry; 0 where it has none. */
  readonly largestIdentifier: number
  /** UDP destination ports that mean this encapsulation unless the user says otherwise; the first is the usual one. */
  readonly udpPorts: readonly number[]
  /** Number of the IP protocol that it is, where it does without UDP. */
  readonly ipProtocol?: number
  /** Names of encapsulations that mirrors put into this one, behind an IP header of their own: both are taken off. */
  readonly mirrorsInside?: readonly string[]
  /** Its headers may have sequence numbers and time stamps; absent = never. */
  readonly isNumbered?: true
  create(options: DecapsulatorOptions): Decapsulator
}
