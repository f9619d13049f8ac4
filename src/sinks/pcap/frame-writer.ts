import type { SinkCounters } from '../../telemetry/counters.ts'
import type { FrameSink, SinkWiring } from '../sink.ts'
import { QueueWriter } from '../thread/queue-writer.ts'
import type { Lane } from '../thread/wiring.ts'
import { createFormat, type FileOptions } from './file-options.ts'
import { SeriesTable } from './series-table.ts'

/** The half of a file sink that lives in the pipeline; see PipelineHalf. Records in the queue are those of the file. */
export function attach(wiring: SinkWiring, counters: SinkCounters): FrameSink {
  const lane = wiring as Lane<FileOptions>
  const table = lane.series && new SeriesTable(lane.series)
  return new QueueWriter(lane, counters, createFormat(lane.options), table)
}
