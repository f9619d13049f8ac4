import type { FrameBatch } from '../frames/frame-batch.ts'
import type { Decapsulator, DecapsulatorOptions } from '../wire/decapsulator.ts'
import { IS_ETHERNET } from '../wire/ether-type.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'
import type { TunnelNotes } from '../wire/tunnel-notes.ts'
import { OK, type Verdict } from '../wire/verdict.ts'
import type { NestedTunnels } from './nested.ts'
import type { Step } from './step.ts'

/** Takes off the tunnel's header, and those of tunnels inside it as far as is wanted: additions to the offset. */
export class DecapsulateStep implements Step {
  /** By index in the registry of encapsulations. */
  readonly #decapsulators: readonly Decapsulator[]
  /** By encapsulation: what the header that was taken off last says of its frame. */
  readonly notes: readonly (TunnelNotes | undefined)[]
  readonly #nested: NestedTunnels
  readonly #mayHold: Uint8Array

  constructor(options: DecapsulatorOptions, nested: NestedTunnels) {
    this.#decapsulators = ENCAPSULATIONS.map((encapsulation) => encapsulation.create(options))
    this.notes = this.#decapsulators.map((decapsulator) => decapsulator.notes)
    this.#nested = nested
    this.#mayHold = nested.mayHold
  }

  judge(batch: FrameBatch, row: number): Verdict {
    const encapsulation = batch.encapsulation[row]!
    const decapsulator = this.#decapsulators[encapsulation]!
    const verdict = decapsulator.decode(batch.bytes, batch.offset[row]!, batch.captured[row]!, batch.wireLength[row]!)
    if (verdict !== OK) return verdict
    batch.offset[row]! += decapsulator.headerBytes
    batch.captured[row]! -= decapsulator.headerBytes
    batch.wireLength[row]! -= decapsulator.headerBytes
    batch.tunnelId[row] = decapsulator.tunnelId
    batch.etherType[row] = decapsulator.etherType
    if (this.#mayHold[encapsulation] !== 0) this.#takeInner(batch, row, decapsulator.headerBytes)
    return OK
  }

  /** The frame of the last sound layer stays: what a port made look like a tunnel and is none goes no further. */
  #takeInner(batch: FrameBatch, row: number, outerHeaderBytes: number): void {
    const inner = this.#nested
    let headerBytes = outerHeaderBytes
    for (let taken = 1; taken < inner.depth && inner.find(batch, row); taken++) {
      const decapsulator = this.#decapsulators[inner.encapsulation]!
      if (decapsulator.decode(batch.bytes, inner.offset, inner.captured, inner.wireLength) !== OK) return
      const wireLength = inner.wireLength - decapsulator.headerBytes
      if (decapsulator.etherType === IS_ETHERNET && wireLength < ETHERNET_HEADER_BYTES) {
        this.#readAgain(batch, row, headerBytes)
        return
      }
      headerBytes = decapsulator.headerBytes
      batch.offset[row] = inner.offset + decapsulator.headerBytes
      batch.captured[row] = inner.captured - decapsulator.headerBytes
      batch.wireLength[row] = wireLength
      batch.tunnelId[row] = decapsulator.tunnelId
      batch.etherType[row] = decapsulator.etherType
      batch.encapsulation[row] = inner.encapsulation
    }
  }

  /** The notes of the layer that stays, which one of the same encapsulation inside it has overwritten. */
  #readAgain(batch: FrameBatch, row: number, headerBytes: number): void {
    const start = batch.offset[row]! - headerBytes
    const captured = batch.captured[row]! + headerBytes
    const decapsulator = this.#decapsulators[batch.encapsulation[row]!]!
    decapsulator.decode(batch.bytes, start, captured, batch.wireLength[row]! + headerBytes)
  }
}
