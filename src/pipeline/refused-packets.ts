import type { FrameBatch } from '../frames/frame-batch.ts'
import type { LostPieces } from '../frames/held-pieces.ts'
import type { Quarantine } from '../sinks/sink.ts'
import { FRAGMENT_INCOMPLETE, isUnwanted, VERDICTS, type Verdict } from '../wire/verdict.ts'

/** Sends packets that were refused into quarantine as they came, whatever the steps have made of their rows since. */
export class RefusedPackets implements LostPieces {
  #quarantine: Quarantine
  /** By verdict: 1 where the packet is kept. */
  readonly #kept: Uint8Array = Uint8Array.from(VERDICTS, (_, verdict) => (isUnwanted(verdict) ? 0 : 1))
  #offset = 0
  #captured = 0
  #wireLength = 0
  #linkType = 0
  #encapsulation = 0

  constructor(quarantine: Quarantine) {
    this.#quarantine = quarantine
  }

  /** Between two batches: another way to the same place. */
  refit(quarantine: Quarantine): void {
    this.#quarantine = quarantine
  }

  /** Before the first step. */
  remember(batch: FrameBatch, row: number): void {
    this.#offset = batch.offset[row]!
    this.#captured = batch.captured[row]!
    this.#wireLength = batch.wireLength[row]!
    this.#linkType = batch.linkType[row]!
    this.#encapsulation = batch.encapsulation[row]!
  }

  /** The row that was remembered is left out: it gets its columns back, and its packet goes where it can be looked at. */
  refused(batch: FrameBatch, row: number, verdict: Verdict): void {
    if (this.#kept[verdict] === 0) return
    batch.offset[row] = this.#offset
    batch.captured[row] = this.#captured
    batch.wireLength[row] = this.#wireLength
    batch.linkType[row] = this.#linkType
    batch.encapsulation[row] = this.#encapsulation
    this.#quarantine.add(batch, row, verdict)
  }

  /** A piece of an outer datagram that was never whole. */
  add(batch: FrameBatch, row: number): void {
    this.#quarantine.add(batch, row, FRAGMENT_INCOMPLETE)
  }

  forgotten(packets: number): void {
    this.#quarantine.lose(packets)
  }

  flush(): void {
    this.#quarantine.flush()
  }

  close(): void {
    this.#quarantine.close()
  }
}
