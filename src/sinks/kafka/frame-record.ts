import type { FrameBatch } from '../../frames/frame-batch.ts'
import { LINKTYPE_RAW } from '../../wire/link-type.ts'
import type { RecordLayout } from '../thread/queue-writer.ts'

/** Where a record of the queue to the Kafka thread has what; little endian. */
export const RECORD_BYTES = 0
export const CAPTURED = 4
export const WIRE_LENGTH = 8
export const SECONDS = 12
export const NANOSECONDS = 16
export const TUNNEL_ID = 20
export const ENCAPSULATION = 24
/** 1: an IP packet without Ethernet. */
export const IS_RAW_IP = 25
export const PEER = 26
export const FRAME = 28

/** The frame with all its columns: what becomes of it, the thread decides. */
export const frameRecord: RecordLayout = {
  headerBytes: FRAME,
  recordBytes: (captured) => (FRAME + captured + 3) & ~3,
  writeRecord(view: DataView, at: number, batch: FrameBatch, row: number): void {
    const captured = batch.captured[row]!
    view.setUint32(at + RECORD_BYTES, (FRAME + captured + 3) & ~3, true)
    view.setUint32(at + CAPTURED, captured, true)
    view.setUint32(at + WIRE_LENGTH, batch.wireLength[row]!, true)
    view.setUint32(at + SECONDS, batch.seconds[row]!, true)
    view.setUint32(at + NANOSECONDS, batch.nanoseconds[row]!, true)
    view.setUint32(at + TUNNEL_ID, batch.tunnelId[row]!, true)
    view.setUint8(at + ENCAPSULATION, batch.encapsulation[row]!)
    view.setUint8(at + IS_RAW_IP, batch.linkType[row] === LINKTYPE_RAW ? 1 : 0)
    view.setUint16(at + PEER, batch.peer[row]!, true)
  },
}
