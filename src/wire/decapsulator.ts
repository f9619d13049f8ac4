import type { Verdict } from './verdict.ts'

/** Reads one tunnel's header. The fields hold what the last decode() found and mean nothing unless it returned OK. */
export interface Decapsulator {
  /** VNI, VSID, key or session. */
  readonly tunnelId: number
  /** Bytes from the start of the tunnel's header to the start of the inner frame. */
  readonly headerBytes: number
  /** Link type of the inner frame. */
  readonly linkType: number
  /** Reads only bytes[offset, offset + captured); never throws. */
  decode(bytes: Uint8Array, offset: number, captured: number): Verdict
}

export interface DecapsulatorOptions {
  /** Refuse set reserved bits, which the RFCs tell receivers to ignore. */
  readonly strict: boolean
}

/** A row of the registry of encapsulations. */
export interface Encapsulation {
  /** As in `--listen NAME://` and `{encap}`. */
  readonly name: string
  /** UDP destination ports that mean this encapsulation unless the user says otherwise; the first is the usual one. */
  readonly udpPorts: readonly number[]
  create(options: DecapsulatorOptions): Decapsulator
}
