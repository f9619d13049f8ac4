import type { FrameBatch } from '../../frames/frame-batch.ts'
import type { PeerTable } from '../../frames/peer-table.ts'
import { RecordProducer } from '../../frames/record-producer.ts'
import { commentOption, PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import type { RecordColumns } from '../../pcap-writer/record-format.ts'
import type { SinkCounters } from '../../telemetry/counters.ts'
import { LINKTYPE_TUNNEL } from '../../wire/link-type.ts'
import { VERDICTS, type Verdict } from '../../wire/verdict.ts'
import type { Quarantine, SinkWiring } from '../sink.ts'
import type { Lane } from '../thread/wiring.ts'
import { dissectorTags, LINKTYPE_WIRESHARK_UPPER_PDU, sourceAndEndBytes, writeSourceAndEnd } from './exported-pdu.ts'

/** How long to wait at a time for room, where packets wait rather than get lost. */
const WAIT_MS = 100

/** Lays refused packets out as pcapng records in the queue to the thread that writes them. */
class PacketWriter implements Quarantine {
  readonly #producer: RecordProducer
  readonly #counters: SinkCounters
  readonly #blocks: boolean
  readonly #peers: PeerTable | undefined
  readonly #format: PcapngFormat = new PcapngFormat()
  /** By verdict. */
  readonly #comments: readonly Uint8Array[] = VERDICTS.map(commentOption)
  readonly #dissectors: readonly Uint8Array[] = dissectorTags()
  /** One row, filled for each packet: what is in front of it is part of it. */
  readonly #row: RecordColumns = {
    captured: new Uint32Array(1),
    wireLength: new Uint32Array(1),
    seconds: new Uint32Array(1),
    nanoseconds: new Uint32Array(1),
  }

  constructor(lane: Lane<unknown>, counters: SinkCounters, peers: PeerTable | undefined) {
    this.#producer = new RecordProducer(lane.queue)
    this.#counters = counters
    this.#blocks = lane.overflow === 'block'
    this.#peers = peers
  }

  add(batch: FrameBatch, row: number, verdict: Verdict): void {
    this.#counters.addOffered(1)
    const isTunnel = batch.linkType[row] === LINKTYPE_TUNNEL
    const dissector = isTunnel ? this.#dissectors[batch.encapsulation[row]!] : undefined
    const addressBytes = dissector === undefined ? 0 : (this.#peers?.addressBytes(batch.peer[row]!) ?? 0)
    const front = dissector === undefined ? 0 : dissector.length + sourceAndEndBytes(addressBytes)
    const captured = Math.min(batch.captured[row]!, this.#format.snapLength - front)
    const columns = this.#row
    columns.captured[0] = front + captured
    columns.wireLength[0] = front + batch.wireLength[row]!
    columns.seconds[0] = batch.seconds[row]!
    columns.nanoseconds[0] = batch.nanoseconds[row]!

    const comment = this.#comments[verdict]!
    const size = this.#format.recordBytes(front + captured) + comment.length
    const linkType = dissector === undefined ? batch.linkType[row]! : LINKTYPE_WIRESHARK_UPPER_PDU
    const at = this.#reserve(size, linkType)
    if (at < 0) {
      this.#counters.addOverflow(1)
      return
    }
    this.#format.writeRecord(batch.view, at, columns, 0, linkType)
    this.#format.appendOptions(batch.bytes, batch.view, at, comment)
    let end = at + this.#format.headerBytes
    if (dissector !== undefined) {
      batch.bytes.set(dissector, end)
      const addressAt = writeSourceAndEnd(batch.view, end + dissector.length, addressBytes)
      if (addressBytes > 0) this.#peers!.writeAddress(batch.peer[row]!, batch.view, addressAt)
      end += front
    }
    batch.copy(end, batch.offset[row]!, captured)
    this.#producer.commit(size, 1, batch.seconds[row]!, batch.seconds[row]!)
  }

  lose(packets: number): void {
    this.#counters.addOffered(packets)
    this.#counters.addOverflow(packets)
  }

  flush(): void {
    this.#producer.publish()
  }

  close(): void {
    this.#producer.close()
  }

  /** -1 when the queue has no room, and nobody wants to wait for it. */
  #reserve(size: number, series: number): number {
    let at = this.#producer.reserve(size, series)
    while (at < 0 && this.#blocks && !this.#producer.abandoned()) {
      this.#producer.publish()
      this.#producer.waitForRoom(WAIT_MS)
      at = this.#producer.reserve(size, series)
    }
    return at
  }
}

/** See QuarantineHalf. */
export function attach(wiring: SinkWiring, counters: SinkCounters, peers: PeerTable | undefined): Quarantine {
  return new PacketWriter(wiring as Lane<unknown>, counters, peers)
}
