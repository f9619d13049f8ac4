import type { FrameFilter } from '../frames/bpf.ts'
import { ColumnRoom } from '../frames/column-room.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import type { NumberSet } from '../frames/number-set.ts'
import type { FrameSink } from '../sinks/sink.ts'
import type { SinkCounters } from '../telemetry/counters.ts'
import { ETHERNET_HEADER_BYTES } from '../wire/link.ts'
import { LINKTYPE_RAW } from '../wire/link-type.ts'

/** A sink with what it selects. */
export interface Outlet {
  /** Names the sink. */
  readonly id: number
  readonly sink: FrameSink
  /** Of the half in this pipeline, and of the half that sends. */
  readonly counters: SinkCounters
  readonly sent: SinkCounters
  /** The tunnel identifiers that this sink wants; undefined = all. */
  readonly wanted: NumberSet | undefined
  /** The frames that it wants, as they are now; undefined = all. */
  readonly filter: FrameFilter | undefined
  /** Where the sink cannot take frames of every link type that there may be. */
  readonly only?: OnlyLinkType | undefined
}

export interface OnlyLinkType {
  /** LINKTYPE_ value. */
  readonly linkType: number
  /** Frames of another one came; called for every batch with such frames. */
  refused(): void
}

/** Shows every sink the same batch. */
export class FanOut {
  #outlets: readonly Outlet[]
  readonly #allRows: Uint16Array
  readonly #selected: Uint16Array

  /** `capacity`: rows of the batches, at most 65 536. `room`: theirs. */
  constructor(outlets: readonly Outlet[], capacity: number, room: ColumnRoom = new ColumnRoom()) {
    this.#outlets = outlets
    this.#allRows = room.uint16(capacity)
    for (let row = 0; row < capacity; row++) this.#allRows[row] = row
    this.#selected = room.uint16(capacity)
  }

  /** Bytes of its room. */
  static roomBytes(capacity: number): number {
    return 2 * ColumnRoom.bytesFor(capacity, Uint16Array.BYTES_PER_ELEMENT)
  }

  write(batch: FrameBatch): void {
    for (let i = 0; i < this.#outlets.length; i++) {
      const outlet = this.#outlets[i]!
      outlet.counters.addOffered(batch.count)
      let rows = this.#allRows
      let count = batch.count
      if (outlet.wanted !== undefined || outlet.filter !== undefined) {
        count = this.#select(batch, outlet)
        rows = this.#selected
        outlet.counters.addNotSelected(batch.count - count)
      }
      if (outlet.only !== undefined) {
        count = this.#fitting(batch, rows, count, outlet.only, outlet.counters)
        rows = this.#selected
      }
      outlet.sink.write(batch, rows, count)
    }
  }

  flush(): void {
    for (let i = 0; i < this.#outlets.length; i++) this.#outlets[i]!.sink.flush()
  }

  get outlets(): readonly Outlet[] {
    return this.#outlets
  }

  /** Other outlets from now on; those that are none any more get no further frame. */
  replace(outlets: readonly Outlet[]): void {
    for (const { id, sink } of this.#outlets) if (!outlets.some((other) => other.id === id)) sink.close()
    this.#outlets = outlets
  }

  /** The sink of this outlet, if it is still one, gets its frames another way from now on. */
  refit({ id, sink }: Outlet): void {
    this.#outlets = this.#outlets.map((outlet) => (outlet.id === id ? { ...outlet, sink } : outlet))
  }

  close(): void {
    for (const outlet of this.#outlets) outlet.sink.close()
  }

  /** Of `rows`, which may be those selected before, the ones with frames of the link type. */
  #fitting(batch: FrameBatch, rows: Uint16Array, count: number, only: OnlyLinkType, counters: SinkCounters): number {
    let fitting = 0
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      if (batch.linkType[row] === only.linkType) this.#selected[fitting++] = row
    }
    if (fitting === count) return fitting
    counters.addOtherLinkType(count - fitting)
    only.refused()
    return fitting
  }

  #select(batch: FrameBatch, { wanted, filter }: Outlet): number {
    const { bytes, offset, captured, wireLength, linkType } = batch
    let count = 0
    for (let row = 0; row < batch.count; row++) {
      if (wanted !== undefined && !wanted.has(batch.tunnelId[row]!)) continue
      // Filters are compiled for Ethernet; a bare packet has its header in front of it still, see FinishStep.
      const link = linkType[row] === LINKTYPE_RAW ? ETHERNET_HEADER_BYTES : 0
      if (filter !== undefined && !filter(bytes, offset[row]! - link, captured[row]! + link, wireLength[row]! + link)) {
        continue
      }
      this.#selected[count++] = row
    }
    return count
  }
}
