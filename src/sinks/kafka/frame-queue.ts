import { PcapngFormat } from '../../pcap-writer/pcapng-format.ts'
import type { SinkCounters } from '../../telemetry/counters.ts'
import { SeriesTable } from '../pcap/series-table.ts'
import type { FrameSink, SinkWiring } from '../sink.ts'
import { QueueWriter } from '../thread/queue-writer.ts'
import type { Lane } from '../thread/wiring.ts'
import { frameRecord } from './frame-record.ts'

/** The half of the Kafka sink that lives in the pipeline; see PipelineHalf. With series, records are those of a pcapng file. */
export function attach(wiring: SinkWiring, counters: SinkCounters): FrameSink {
  const lane = wiring as Lane<unknown>
  if (lane.series === undefined) return new QueueWriter(lane, counters, frameRecord)
  return new QueueWriter(lane, counters, new PcapngFormat(), new SeriesTable(lane.series))
}
