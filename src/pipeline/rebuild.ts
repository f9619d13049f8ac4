import type { FrameBatch } from '../frames/frame-batch.ts'
import type { PipelineCounters } from '../telemetry/counters.ts'
import { IS_ETHERNET } from '../wire/ether-type.ts'
import { InnerHeaders } from '../wire/inner-headers.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { LINKTYPE_ETHERNET } from '../wire/link-type.ts'
import { OK, SHORT_FRAME, type Verdict } from '../wire/verdict.ts'
import type { Step } from './step.ts'

/** Makes of the tunnel's payload the frame that was mirrored: its Ethernet header, its length on the wire. */
export class RebuildStep implements Step {
  readonly #counters: PipelineCounters
  readonly #headers: InnerHeaders = new InnerHeaders()

  constructor(counters: PipelineCounters) {
    this.#counters = counters
  }

  judge(batch: FrameBatch, row: number): Verdict {
    if (batch.etherType[row] !== IS_ETHERNET) writeEthernetHeader(batch, row)
    batch.linkType[row] = LINKTYPE_ETHERNET
    const arrived = batch.wireLength[row]!
    if (arrived < ETHERNET_HEADER_BYTES) return SHORT_FRAME
    // Lies about the length are bounded, and cost nothing but a wrong number in a record.
    const sent = this.#headers.lengthOnWire(batch.bytes, batch.offset[row]!, batch.captured[row]!, LINKTYPE_ETHERNET)
    if (sent > arrived) {
      batch.wireLength[row] = sent
      this.#counters.addCutAtSource(1)
    }
    return OK
  }
}

/**
 * In place, over the end of the outer headers, which are always longer and have been taken off: the EtherType, and
 * zeroes for the addresses that the frame never had.
 */
function writeEthernetHeader(batch: FrameBatch, row: number): void {
  const at = batch.offset[row]! - ETHERNET_HEADER_BYTES
  batch.bytes.fill(0, at, at + ETHERNET_HEADER_BYTES - 2)
  batch.view.setUint16(at + ETHERNET_HEADER_BYTES - 2, batch.etherType[row]!)
  batch.offset[row] = at
  batch.captured[row]! += ETHERNET_HEADER_BYTES
  batch.wireLength[row]! += ETHERNET_HEADER_BYTES
}
