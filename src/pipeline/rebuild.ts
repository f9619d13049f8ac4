import { crc32 } from '../frames/crc.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import type { PipelineCounters } from '../telemetry/counters.ts'
import { ETHERTYPE_8021Q, IS_ETHERNET, VLAN_TAG_BYTES } from '../wire/ether-type.ts'
import { InnerHeaders } from '../wire/inner-headers.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { NO_TAG, type TunnelNotes } from '../wire/tunnel-notes.ts'
import { OK, SHORT_FRAME, type Verdict } from '../wire/verdict.ts'
import type { MirrorSessions } from './mirror-sessions.ts'
import type { Step } from './step.ts'

export interface RebuildOptions {
  /** Of the header that packets get which were mirrored without Ethernet: destination and source, 6 bytes each. */
  readonly ethernetAddresses: Uint8Array
  /** Frame check sequences that a mirror left behind frames: keep, cut off where they fit the frame, cut off always. */
  readonly fcs: 'keep' | 'auto' | 'strip'
}

const ADDRESSES_BYTES = 12
const FCS_BYTES = 4

/** Makes of the tunnel's payload the frame that was mirrored: Ethernet header, VLAN tag, time, length on the wire. */
export class RebuildStep implements Step {
  readonly #options: RebuildOptions
  /** By encapsulation, of the tunnel that was just taken off. */
  readonly #notes: readonly (TunnelNotes | undefined)[]
  readonly #sessions: MirrorSessions | undefined
  readonly #counters: PipelineCounters
  readonly #headers: InnerHeaders = new InnerHeaders()

  constructor(
    options: RebuildOptions,
    notes: readonly (TunnelNotes | undefined)[],
    sessions: MirrorSessions | undefined,
    counters: PipelineCounters,
  ) {
    this.#options = options
    this.#notes = notes
    this.#sessions = sessions
    this.#counters = counters
  }

  judge(batch: FrameBatch, row: number): Verdict {
    const notes = this.#notes[batch.encapsulation[row]!]
    if (notes !== undefined) this.#sessions?.follow(batch, row, notes)
    batch.linkType[row] = LINKTYPE_ETHERNET
    if (batch.etherType[row] === IS_ETHERNET) {
      if (batch.wireLength[row]! < ETHERNET_HEADER_BYTES) return SHORT_FRAME
      if (this.#options.fcs !== 'keep' || notes !== undefined) this.#ethernet(batch, row, notes)
    } else if (batch.wireLength[row] === 0) return SHORT_FRAME
    else this.#writeEthernetHeader(batch, row)
    this.#restoreLength(batch, row, notes?.isCut === true)
    return OK
  }

  /** A frame check sequence covers the frame as it was when it was written: before a tag went, or after. */
  #ethernet(batch: FrameBatch, row: number, notes: TunnelNotes | undefined): void {
    const isStripped = this.#options.fcs !== 'keep' && this.#stripFcs(batch, row)
    if (notes === undefined || notes.tag === NO_TAG || batch.captured[row]! < ADDRESSES_BYTES) return
    insertTag(batch, row, notes.tag)
    if (this.#options.fcs === 'auto' && !isStripped) this.#stripFcs(batch, row)
  }

  /** What was cut off before it came here took the sequence with it. */
  #stripFcs(batch: FrameBatch, row: number): boolean {
    const captured = batch.captured[row]!
    const offset = batch.offset[row]!
    if (captured < ETHERNET_HEADER_BYTES + FCS_BYTES || captured < batch.wireLength[row]!) return false
    const end = this.#headers.lengthOnWire(batch.bytes, offset, captured, LINKTYPE_ETHERNET)
    // No room behind the IP packet, or less than all of it: there is no sequence.
    if (end > captured - FCS_BYTES) return false
    const at = offset + captured - FCS_BYTES
    if (this.#options.fcs === 'auto' && batch.view.getUint32(at, true) !== crc32(batch.bytes, offset, at)) return false
    batch.captured[row] = captured - FCS_BYTES
    batch.wireLength[row]! -= FCS_BYTES
    return true
  }

  /**
   * Of a frame that the mirror cut. Lies about the length are bounded, and cost nothing but a wrong number in a record.
   * Where nothing tells it, a byte more than arrived is how a record says that something is missing.
   */
  #restoreLength(batch: FrameBatch, row: number, isCut: boolean): void {
    const arrived = batch.wireLength[row]!
    const sent = this.#headers.lengthOnWire(batch.bytes, batch.offset[row]!, batch.captured[row]!, LINKTYPE_ETHERNET)
    if (sent <= arrived && !isCut) return
    batch.wireLength[row] = Math.max(sent, arrived + 1)
    this.#counters.addCutAtSource(1)
  }

  /** In place, over the end of the outer headers, which are always longer and have been taken off. */
  #writeEthernetHeader(batch: FrameBatch, row: number): void {
    const at = batch.offset[row]! - ETHERNET_HEADER_BYTES
    batch.bytes.set(this.#options.ethernetAddresses, at)
    batch.view.setUint16(at + ADDRESSES_BYTES, batch.etherType[row]!)
    batch.offset[row] = at
    batch.captured[row]! += ETHERNET_HEADER_BYTES
    batch.wireLength[row]! += ETHERNET_HEADER_BYTES
  }
}

/** In place: the addresses move to the left, over the end of the tunnel's header, and the tag goes behind them. */
function insertTag(batch: FrameBatch, row: number, tag: number): void {
  const from = batch.offset[row]!
  const at = from - VLAN_TAG_BYTES
  batch.bytes.copyWithin(at, from, from + ADDRESSES_BYTES)
  batch.view.setUint16(at + ADDRESSES_BYTES, ETHERTYPE_8021Q)
  batch.view.setUint16(at + ADDRESSES_BYTES + 2, tag)
  batch.offset[row] = at
  batch.captured[row]! += VLAN_TAG_BYTES
  batch.wireLength[row]! += VLAN_TAG_BYTES
}
