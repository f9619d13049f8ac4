import type { TunnelCounts } from '../frames/tunnel-counts.ts'
import type { PipelineCounters, SinkCounters } from './counters.ts'

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
  /** Frames that were cut before they were put into their tunnel; absent where there were none. */
  readonly cutAtSource?: number
}

export interface SinkReport {
  readonly sink: string
  readonly written: number
  readonly bytes: number
  readonly dropped: Record<string, number>
}

export function buildReport(
  counters: PipelineCounters,
  tunnels: TunnelCounts,
  sinks: readonly { readonly name: string; readonly counters: SinkCounters }[],
): Report {
  return {
    received: counters.received,
    delivered: counters.delivered,
    dropped: counters.dropped(),
    kernelDropped: counters.kernelDropped,
    vnis: tunnels.toObject(),
    sinks: sinks.map(({ name, counters: sink }) => ({
      sink: name,
      written: sink.written,
      bytes: sink.bytes,
      dropped: sink.dropped(),
    })),
    ...(counters.cutAtSource > 0 && { cutAtSource: counters.cutAtSource }),
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
  if (report.cutAtSource !== undefined) lines.push(`${report.cutAtSource} frames had been cut by the mirror`)
  if (total > 0) lines.push(`${total} packets not delivered: ${reasons(lost)}`)
  for (const sink of report.sinks) {
    const own = Object.entries(sink.dropped)
    lines.push(`${sink.sink}: ${sink.written} frames written${own.length > 0 ? `, not written: ${reasons(own)}` : ''}`)
  }
  return `${lines.join('\n')}\n`
}

function reasons(entries: readonly [string, number][]): string {
  return entries.map(([reason, frames]) => `${reason} ${frames}`).join(', ')
}
