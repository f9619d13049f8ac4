import type { FrameBatch } from '../frames/frame-batch.ts'
import type { Decapsulator, DecapsulatorOptions } from '../wire/decapsulator.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'
import { OK, type Verdict } from '../wire/verdict.ts'
import type { Step } from './step.ts'

/** Takes off the tunnel's header: an addition to the offset. */
export class DecapsulateStep implements Step {
  /** By index in the registry of encapsulations. */
  readonly #decapsulators: readonly Decapsulator[]

  constructor(options: DecapsulatorOptions) {
    this.#decapsulators = ENCAPSULATIONS.map((encapsulation) => encapsulation.create(options))
  }

  judge(batch: FrameBatch, row: number): Verdict {
    const decapsulator = this.#decapsulators[batch.encapsulation[row]!]!
    const verdict = decapsulator.decode(batch.bytes, batch.offset[row]!, batch.captured[row]!, batch.wireLength[row]!)
    if (verdict !== OK) return verdict
    batch.offset[row]! += decapsulator.headerBytes
    batch.captured[row]! -= decapsulator.headerBytes
    batch.wireLength[row]! -= decapsulator.headerBytes
    batch.tunnelId[row] = decapsulator.tunnelId
    batch.etherType[row] = decapsulator.etherType
    return OK
  }
}
