import { withoutControls } from '../config/terms/without-controls.ts'
import { OK, VERDICTS } from '../wire/verdict.ts'
import type { Report, SinkReport } from './report.ts'
import type { Snapshot } from './snapshot.ts'

/** Identifiers that get a label value of their own; later ones are counted together as `other`. */
export const LABELLED_VNIS = 256

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

/** A row of the catalogue: README's table and `/metrics` come from it. */
export interface Metric {
  readonly name: string
  readonly type: 'counter' | 'gauge'
  readonly help: string
  readonly labels: readonly string[]
  samples(snapshot: Snapshot, context: MetricContext): Sample[]
}

export interface MetricContext {
  readonly version: string
  readonly vniLabels: BoundedLabels
}

/**
 * Which identifiers have a label of their own: those that came first. Never changes for one that has been seen, so that
 * no counter goes back.
 */
export class BoundedLabels {
  readonly #limit: number
  readonly #known: Set<string> = new Set()

  constructor(limit: number) {
    this.#limit = limit
  }

  fold(counts: Readonly<Record<string, number>>): Record<string, number> {
    const result: Record<string, number> = {}
    for (const [name, count] of Object.entries(counts)) {
      if (this.#known.size < this.#limit && name !== 'other') this.#known.add(name)
      const label = this.#known.has(name) ? name : 'other'
      result[label] = (result[label] ?? 0) + count
    }
    return result
  }
}

export const METRICS: readonly Metric[] = [
  count('received_frames_total', 'Packets that reached the collector.', ({ report }) => report.received),
  count('received_bytes_total', 'Their bytes; a UDP socket gives no outer headers.', (now) => now.receivedBytes),
  count('delivered_frames_total', 'Frames handed to the sinks.', ({ report }) => report.delivered),
  count('delivered_bytes_total', 'Their bytes, as long as they were on the wire.', (now) => now.deliveredBytes),
  {
    name: 'mirror_collector_dropped_frames_total',
    type: 'counter',
    help: 'Packets that came to another end, by reason.',
    labels: ['reason'],
    samples: ({ report }) => VERDICTS.slice(OK + 1).map((reason): Sample => [{ reason }, report.dropped[reason] ?? 0]),
  },
  count('kernel_dropped_total', 'Packets that the kernel dropped first.', ({ report }) => report.kernelDropped),
  count('kernel_freezes_total', 'Times that a packet ring was full.', ({ report }) => report.kernelFreezes ?? 0),
  count(
    'interface_losses_total',
    'Times that an interface with a packet ring went away or down.',
    ({ report }) => report.interfaceLosses ?? 0,
  ),
  count('cut_at_source_frames_total', 'Frames that their mirror had cut.', ({ report }) => report.cutAtSource ?? 0),
  count(
    'dedup_forgotten_frames_total',
    'Frames that --dedup forgot before its window ended.',
    ({ report }) => report.dedupForgotten ?? 0,
  ),
  count(
    'worker_restarts_total',
    'Times that a worker died and was started again.',
    ({ report }) => report.workerRestarts ?? 0,
  ),
  {
    name: 'mirror_collector_sequence_lost_frames',
    type: 'gauge',
    help: 'Frames missing by their sequence numbers; late ones lower it.',
    labels: [],
    samples: ({ report }) => [[{}, (report.sequenceGaps ?? []).reduce((sum, { lost }) => sum + lost, 0)]],
  },
  {
    name: 'mirror_collector_vni_frames_total',
    type: 'counter',
    help: `Frames delivered, by tunnel identifier; beyond the first ${LABELLED_VNIS}: other.`,
    labels: ['vni'],
    samples: ({ report }, { vniLabels }) =>
      Object.entries(vniLabels.fold(report.vnis)).map(([vni, frames]): Sample => [{ vni }, frames]),
  },
  {
    name: 'mirror_collector_sink_written_frames_total',
    type: 'counter',
    help: 'Frames that a sink has written.',
    labels: ['sink'],
    samples: ({ report }) => sinksOf(report).map(({ sink, written }): Sample => [{ sink }, written]),
  },
  {
    name: 'mirror_collector_sink_written_bytes_total',
    type: 'counter',
    help: 'Bytes that a sink has written; of files everything in them.',
    labels: ['sink'],
    samples: ({ report }) => sinksOf(report).map(({ sink, bytes }): Sample => [{ sink }, bytes]),
  },
  {
    name: 'mirror_collector_sink_dropped_frames_total',
    type: 'counter',
    help: 'Frames that a sink has not written, by reason.',
    labels: ['sink', 'reason'],
    samples: ({ report }) => sinksOf(report).flatMap(sinkDrops),
  },
  {
    name: 'mirror_collector_info',
    type: 'gauge',
    help: 'Always 1; the version is a label.',
    labels: ['version'],
    samples: (_now, { version }) => [[{ version }, 1]],
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time of all threads.',
    labels: [],
    samples: () => [[{}, (process.cpuUsage().user + process.cpuUsage().system) / 1e6]],
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Resident memory.',
    labels: [],
    samples: () => [[{}, process.memoryUsage.rss()]],
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'When the process began, seconds since 1970.',
    labels: [],
    samples: () => [[{}, Math.round(performance.timeOrigin) / 1000]],
  },
]

/** The catalogue for README. */
export function metricsTable(): string {
  const rows = METRICS.map(
    ({ name, type, labels, help }) =>
      `| \`${name}\`${labels.length > 0 ? ` {${labels.join(', ')}}` : ''} | ${type} | ${help} |`,
  )
  return ['| metric | type | meaning |', '| --- | --- | --- |', ...rows].join('\n')
}

function count(name: string, help: string, read: (snapshot: Snapshot) => number): Metric {
  return {
    name: `mirror_collector_${name}`,
    type: 'counter',
    help,
    labels: [],
    samples: (snapshot) => [[{}, read(snapshot)]],
  }
}

function sinksOf({ sinks, quarantine }: Report): readonly SinkReport[] {
  const all = quarantine === undefined ? sinks : [...sinks, { ...quarantine, sink: `quarantine ${quarantine.sink}` }]
  return all.map((each) => ({ ...each, sink: withoutControls(each.sink) }))
}

/** The two that tell of trouble are there from the start, so that their first occurrence is a rise. */
function sinkDrops({ sink, dropped }: SinkReport): Sample[] {
  const reasons = { 'sink-overflow': 0, 'sink-error': 0, ...dropped }
  return Object.entries(reasons).map(([reason, frames]) => [{ sink, reason }, frames])
}
