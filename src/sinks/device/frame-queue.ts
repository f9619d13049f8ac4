import type { FrameBatch } from '../../frames/frame-batch.ts'
import type { SinkCounters } from '../../telemetry/counters.ts'
import type { FrameSink, SinkWiring } from '../sink.ts'
import { QueueWriter, type RecordLayout } from '../thread/queue-writer.ts'
import type { Lane } from '../thread/wiring.ts'

/** A record: captured length, seconds and nanoseconds of arrival, the frame, padding; 32-bit words throughout. */
export const HEADER_BYTES = 12

class DeviceRecord implements RecordLayout {
  readonly headerBytes: number = HEADER_BYTES

  recordBytes(captured: number): number {
    return recordBytes(captured)
  }

  writeRecord(view: DataView, at: number, batch: FrameBatch, row: number): void {
    view.setUint32(at, batch.captured[row]!, true)
    view.setUint32(at + 4, batch.seconds[row]!, true)
    view.setUint32(at + 8, batch.nanoseconds[row]!, true)
  }
}

export function recordBytes(captured: number): number {
  return (HEADER_BYTES + captured + 3) & ~3
}

/** The half of a TAP or interface sink that lives in the pipeline; see PipelineHalf. */
export function attach(wiring: SinkWiring, counters: SinkCounters): FrameSink {
  return new QueueWriter(wiring as Lane<unknown>, counters, new DeviceRecord())
}
