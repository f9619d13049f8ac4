import { interfaceSink } from './interface/interface-sink.ts'
import { kafkaSink } from './kafka/kafka-sink.ts'
import { nullSink } from './null/null-sink.ts'
import { pcapngSink, pcapSink } from './pcap/pcap-sink.ts'
import { quarantineSink } from './quarantine/quarantine-sink.ts'
import type { SinkType } from './sink.ts'
import { tapSink } from './tap/tap-sink.ts'

/** Every kind of sink there is: one line each. */
export const SINKS: readonly SinkType<unknown>[] = [
  erased(pcapSink),
  erased(pcapngSink),
  erased(tapSink),
  erased(interfaceSink),
  erased(kafkaSink),
  erased(nullSink),
]

/** The type of what takes the packets that no sink gets. */
export const QUARANTINE: string = quarantineSink.type

export function sinkTypeNamed(type: string): SinkType<unknown> | undefined {
  return SINKS.find((sink) => sink.type === type)
}

/** For a type that the registry is known to hold, or the quarantine's. */
export function sinkType(type: string): SinkType<unknown> {
  return type === QUARANTINE ? erased(quarantineSink) : sinkTypeNamed(type)!
}

/** Options travel as unknown between a sink's own schema and its own open(), which alone know their type. */
function erased<Options>(sink: SinkType<Options>): SinkType<unknown> {
  return sink as SinkType<unknown>
}
