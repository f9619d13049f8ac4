import type { FrameBatch } from '../frames/frame-batch.ts'
import { OK, SHORT_FRAME, type Verdict } from '../wire/verdict.ts'
import type { Step } from './step.ts'

/** Destination, source, EtherType: IEEE 802.3 without the frame check sequence, which tunnels leave out. */
const ETHERNET_HEADER_BYTES = 14

/** Makes of the tunnel's payload the frame that the sinks get. */
export class RebuildStep implements Step {
  readonly #snapLength: number

  /** `snapLength`: bytes to keep of each frame. */
  constructor(snapLength: number) {
    this.#snapLength = snapLength
  }

  judge(batch: FrameBatch, row: number): Verdict {
    if (batch.wireLength[row]! < ETHERNET_HEADER_BYTES) return SHORT_FRAME
    if (batch.captured[row]! > this.#snapLength) batch.captured[row] = this.#snapLength
    return OK
  }
}
