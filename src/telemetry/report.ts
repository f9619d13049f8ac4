import type { PipelineCounters, SinkCounters } from './counters.ts'
import type { SequenceGap } from './sequence-gaps.ts'

/** The accounting, as `--report` writes it: a contract with scripts. */
export interface Report {
  /** Packets that reached us. */
  readonly received: number
  /** Frames handed to the sinks. */
  readonly delivered: number
  /** Reason -> packets that came to another end. */
  readonly dropped: Record<string, number>
  /** Packets that the kernel dropped before us. */
  readonly kernelDropped: number
  /** VNI -> frames delivered; `other` holds those beyond the ones counted one by one. */
  readonly vnis: Record<string, number>
  readonly sinks: readonly SinkReport[]
  /** Refused packets that were kept, as a sink's; absent without `--quarantine`. */
  readonly quarantine?: SinkReport
  /** Mirror sessions of which frames were lost on the way, or came twice or out of order; absent where there were none. */
  readonly sequenceGaps?: readonly SequenceGap[]
  /** Frames that were cut before they were put into their tunnel; absent where there were none. */
  readonly cutAtSource?: number
  /** How often a packet ring was full, and an interface it listens on went away or down; absent where that never was. */
  readonly kernelFreezes?: number
  readonly interfaceLosses?: number
  /** Frames that --dedup had no room to remember for all of its window; absent where there were none. */
  readonly dedupForgotten?: number
  /** How often a worker died and was started again; absent where none did. */
  readonly workerRestarts?: number
}

export interface SinkReport {
  readonly sink: string
  readonly written: number
  readonly bytes: number
  readonly dropped: Record<string, number>
  /** Frames that it was given, where it was not there all the time: those `delivered` before it came and after it went are none of its. */
  readonly offered?: number
  /** Of the frames written, those that left in segments, and the segments they became; absent where there were none. */
  readonly segmented?: number
  readonly segments?: number
}

/** What a report is made of. */
export interface ReportParts {
  readonly counters: PipelineCounters
  readonly vnis: Record<string, number>
  readonly sinks: readonly NamedCounters[]
  readonly quarantine?: NamedCounters | undefined
  readonly gaps?: readonly SequenceGap[]
  readonly workerRestarts?: number
}

export function buildReport(parts: ReportParts): Report {
  const { counters, vnis, sinks, quarantine, gaps = [], workerRestarts = 0 } = parts
  return {
    received: counters.received,
    delivered: counters.delivered,
    dropped: counters.dropped(),
    kernelDropped: counters.kernelDropped,
    vnis,
    sinks: sinks.map(sinkReport),
    ...(quarantine && { quarantine: sinkReport(quarantine) }),
    ...(gaps.length > 0 && { sequenceGaps: gaps }),
    ...(counters.cutAtSource > 0 && { cutAtSource: counters.cutAtSource }),
    ...(counters.kernelFreezes > 0 && { kernelFreezes: counters.kernelFreezes }),
    ...(counters.interfaceLosses > 0 && { interfaceLosses: counters.interfaceLosses }),
    ...(counters.forgotten > 0 && { dedupForgotten: counters.forgotten }),
    ...(workerRestarts > 0 && { workerRestarts }),
  }
}

export interface NamedCounters {
  readonly name: string
  readonly counters: SinkCounters
  /** It was not there all the time. */
  readonly isPartial?: boolean
}

function sinkReport({ name, counters, isPartial = false }: NamedCounters): SinkReport {
  const { written, bytes, offered, segmented, segments } = counters
  return {
    sink: name,
    written,
    bytes,
    dropped: counters.dropped(),
    ...(isPartial && { offered }),
    ...(segmented > 0 && { segmented, segments }),
  }
}

/** The closing lines, in tcpdump's manner. */
export function closingLines(report: Report): string {
  const lost = Object.entries(report.dropped)
  const total = lost.reduce((sum, [, frames]) => sum + frames, 0)
  const lines = [
    `${report.delivered} frames captured`,
    `${report.received} packets received`,
    `${report.kernelDropped} packets dropped by kernel`,
  ]
  const missing = (report.sequenceGaps ?? []).reduce((sum, { lost: frames }) => sum + frames, 0)
  if (missing > 0) lines.push(`${missing} frames lost before they came here, by their sequence numbers`)
  if (report.cutAtSource !== undefined) lines.push(`${report.cutAtSource} frames had been cut by the mirror`)
  if (report.workerRestarts !== undefined)
    lines.push(`${report.workerRestarts} times a worker died and was started again`)
  if (total > 0) lines.push(`${total} packets not delivered: ${reasons(lost)}`)
  for (const sink of report.sinks) lines.push(`${sink.sink}: ${written(sink, 'frames')}`)
  if (report.quarantine !== undefined) {
    lines.push(`quarantine ${report.quarantine.sink}: ${written(report.quarantine, 'packets')}`)
  }
  return `${lines.join('\n')}\n`
}

function written(sink: SinkReport, what: string): string {
  const own = Object.entries(sink.dropped)
  const parts = sink.segmented === undefined ? '' : `, ${sink.segmented} of them as ${sink.segments} segments`
  return `${sink.written} ${what} written${parts}${own.length > 0 ? `, not written: ${reasons(own)}` : ''}`
}

function reasons(entries: readonly [string, number][]): string {
  return entries.map(([reason, frames]) => `${reason} ${frames}`).join(', ')
}
