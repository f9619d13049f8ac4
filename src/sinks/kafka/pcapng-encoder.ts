import { PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../wire/link-type.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import { FrameRecords } from './frame-encoder.ts'
import { CAPTURED, ENCAPSULATION, FRAME, NANOSECONDS, SECONDS, TUNNEL_ID, WIRE_LENGTH } from './frame-record.ts'
import type { OpenBatch } from './open-batch.ts'
import { type Section, Sections } from './section.ts'

/** format=pcapng&key=flow: one record, whose value is a whole pcapng file of many frames; each frame may go elsewhere. */
export class PcapngFrames extends FrameRecords {
  readonly #format: PcapngFormat = new PcapngFormat()
  readonly #sections: Sections = new Sections(this.#format)
  /** One row, for the format's columns. */
  readonly #columns = {
    captured: new Uint32Array(1),
    wireLength: new Uint32Array(1),
    seconds: new Uint32Array(1),
    nanoseconds: new Uint32Array(1),
  }

  add(batch: OpenBatch, at: number, end: number, key: Uint8Array | undefined): number {
    const { view } = this
    const columns = this.#columns
    const captured = view.getUint32(at + CAPTURED, true)
    columns.captured[0] = captured
    columns.wireLength[0] = view.getUint32(at + WIRE_LENGTH, true)
    columns.seconds[0] = view.getUint32(at + SECONDS, true)
    columns.nanoseconds[0] = view.getUint32(at + NANOSECONDS, true)
    const section = this.#sections.of(batch, key, columns.seconds[0]!, columns.nanoseconds[0]!)
    const size = this.#format.recordBytes(captured)
    const id = this.#interfaceOf(section, at, size)
    if (id < 0) return at
    this.#format.writeRecord(section.view, section.size, columns, 0, id)
    this.slab.copy(section.bytes, section.size + this.#format.headerBytes, at + FRAME, at + FRAME + captured)
    section.size += size
    batch.frames++
    return end
  }

  override finish(batch: OpenBatch): void {
    this.#sections.finish(batch)
  }

  #interfaceOf(section: Section, at: number, size: number): number {
    const tunnelId = this.view.getUint32(at + TUNNEL_ID, true)
    // Encapsulation, and whether it is bare IP, side by side.
    const kind = this.view.getUint16(at + ENCAPSULATION, true)
    return section.interfaceId(tunnelId * 0x1_0000 + kind, size, () => {
      const { name } = ENCAPSULATIONS[kind & 0xff]!
      const linkType = kind > 0xff ? LINKTYPE_RAW : LINKTYPE_ETHERNET
      return this.#format.interfaceBlock(`${name}-${tunnelId}`, `${name} tunnel ${tunnelId}`, linkType)
    })
  }
}
