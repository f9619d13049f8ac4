import type { SinkCounters } from '../../telemetry/counters.ts'
import type { FrameSink, SinkWiring } from '../sink.ts'
import { QueueWriter } from '../thread/queue-writer.ts'
import type { ThreadWiring } from '../thread/wiring.ts'
import { frameRecord } from './frame-record.ts'

/** The half of the Kafka sink that lives in the pipeline; see PipelineHalf. */
export function attach(wiring: SinkWiring, counters: SinkCounters): FrameSink {
  return new QueueWriter(wiring as ThreadWiring<unknown>, counters, frameRecord)
}
