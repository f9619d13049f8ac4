import { describeSeries } from '../../pcap-writer/file-interfaces.ts'
import { PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import { encapsulationNamed } from '../../wire/registry.ts'
import { SeriesLanes } from '../pcap/series-lanes.ts'
import type { Lane } from '../thread/wiring.ts'
import { type FrameEncoder, OTHER_TUNNELS } from './frame-encoder.ts'
import type { OpenBatch } from './open-batch.ts'
import { Sections } from './section.ts'

/**
 * format=pcapng where all frames of a tunnel go to one place: the pipeline has laid them out as a pcapng file's records
 * already, and they are copied many at a time.
 */
export class PcapngSegments implements FrameEncoder {
  encapsulation = 0
  tunnelId = 0
  readonly #slab: Buffer
  readonly #view: DataView
  readonly #table: SeriesLanes = new SeriesLanes()
  readonly #format: PcapngFormat = new PcapngFormat()
  readonly #sections: Sections = new Sections(this.#format)
  /** The lane's number, and the sink's. */
  #own = -1
  #series = -1

  constructor(slab: Uint8Array) {
    this.#slab = Buffer.from(slab.buffer, slab.byteOffset, slab.length)
    this.#view = new DataView(slab.buffer, slab.byteOffset, slab.length)
  }

  use(lane: Lane<unknown>): void {
    this.#table.use(lane)
    this.#own = -1
  }

  leave(lane: Lane<unknown>): void {
    this.#table.leave(lane)
  }

  look(_at: number, series: number): void {
    if (series === this.#own) return
    this.#own = series
    this.#series = this.#table.of(series)
    const { encapsulation, tunnelId } = this.#table.describe(this.#series)
    this.encapsulation = encapsulationNamed(encapsulation)
    this.tunnelId = tunnelId ?? OTHER_TUNNELS
  }

  runEnd(_at: number, end: number): number {
    return end
  }

  recordEnd(at: number): number {
    return at + this.#format.lengthAt(this.#view, at)
  }

  add(batch: OpenBatch, start: number, end: number, key: Uint8Array | undefined): number {
    const format = this.#format
    const view = this.#view
    const section = this.#sections.of(batch, key, format.secondsAt(view, start), format.nanosecondsAt(view, start))
    const id = section.interfaceId(this.#series, format.lengthAt(view, start), () => {
      const { name, description, linkType } = describeSeries(this.#table.describe(this.#series))
      return format.interfaceBlock(name, description, linkType)
    })
    if (id < 0) return start
    const limit = start + section.room
    let at = start
    while (at < end) {
      const next = at + format.lengthAt(view, at)
      if (next > limit) break
      format.setInterfaceId(view, at, id)
      batch.frames++
      at = next
    }
    this.#slab.copy(section.bytes, section.size, start, at)
    section.size += at - start
    return at
  }

  finish(batch: OpenBatch): void {
    this.#sections.finish(batch)
  }
}
