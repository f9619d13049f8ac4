import type { FrameBatch } from '../frames/frame-batch.ts'
import { IS_ETHERNET } from '../wire/ether-type.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { OK, SHORT_FRAME, type Verdict } from '../wire/verdict.ts'
import type { Step } from './step.ts'

/** Makes of the tunnel's payload the frame that the sinks get. */
export class RebuildStep implements Step {
  readonly #snapLength: number

  /** `snapLength`: bytes to keep of each frame. */
  constructor(snapLength: number) {
    this.#snapLength = snapLength
  }

  judge(batch: FrameBatch, row: number): Verdict {
    if (batch.etherType[row] !== IS_ETHERNET) writeEthernetHeader(batch, row)
    if (batch.wireLength[row]! < ETHERNET_HEADER_BYTES) return SHORT_FRAME
    if (batch.captured[row]! > this.#snapLength) batch.captured[row] = this.#snapLength
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
