import type { FrameSink, Quarantine, SinkWiring } from '../sinks/sink.ts'
import type { SinkCounters } from '../telemetry/counters.ts'

/** Stands in for a sink's half while there is no room for a queue to it: frames are lost as they are when one is full. */
class NoRoom implements FrameSink, Quarantine {
  readonly #counters: SinkCounters

  constructor(counters: SinkCounters) {
    this.#counters = counters
  }

  write(_batch: unknown, _rows: Uint16Array, count: number): void {
    this.#counters.addOverflow(count)
  }

  add(): void {
    this.lose(1)
  }

  lose(packets: number): void {
    this.#counters.addOffered(packets)
    this.#counters.addOverflow(packets)
  }

  flush(): void {}

  close(): void {}
}

/** See PipelineHalf and QuarantineHalf. */
export function attach(_wiring: SinkWiring, counters: SinkCounters): FrameSink & Quarantine {
  return new NoRoom(counters)
}
