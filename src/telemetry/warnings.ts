import type { TrafficHistory } from './history.ts'
import type { Report } from './report.ts'

/** Silence that is worth a word. */
const SILENCE_SECONDS = 15
/** Part of what came that may be broken before anyone is told. */
const BROKEN_PART = 0.01
const BROKEN = ['short-header', 'bad-flags', 'short-frame', 'bad-checksum', 'bad-outer', 'fragment-incomplete']

/** What an operator should know and do now, in words, by what happened within the last minute. */
export function warningsOf(report: Report, history: TrafficHistory): string[] {
  const { before } = history
  if (before === undefined) return []
  const { totals, seconds } = before
  const span = seconds > 55 ? 'in the last minute' : `in the last ${Math.round(seconds)} s`
  const rise = (read: (totals: Omit<Report, 'vnis'>) => number | undefined) => (read(report) ?? 0) - (read(totals) ?? 0)
  const received = rise((each) => each.received)
  const warnings: string[] = []
  const kernel = rise((each) => each.kernelDropped)
  if (kernel > 0) {
    const part = percent(kernel / (kernel + received))
    warnings.push(`The kernel dropped ${part} ${span} (${frames(kernel)}): raise --buffer, or use --engine ring.`)
  }
  for (const { sink, dropped } of report.sinks) {
    const past = totals.sinks.find((each) => each.sink === sink)?.dropped ?? {}
    const full = (dropped['sink-overflow'] ?? 0) - (past['sink-overflow'] ?? 0)
    const failed = (dropped['sink-error'] ?? 0) - (past['sink-error'] ?? 0)
    if (full > 0) {
      warnings.push(`${sink} lost ${frames(full)} ${span}: it is slower than the traffic. For bursts raise its queue=.`)
    }
    if (failed > 0) warnings.push(`${sink} could not write ${frames(failed)} ${span}: the log says why.`)
  }
  const broken = BROKEN.map((reason) => [reason, rise((each) => each.dropped[reason])] as const)
  const sum = broken.reduce((total, [, each]) => total + each, 0)
  if (sum > received * BROKEN_PART) {
    const names = broken.filter(([, each]) => each > 0).map(([reason]) => reason)
    warnings.push(
      `${percent(sum / received)} of the packets were refused ${span} (${names.join(', ')}): --quarantine FILE keeps them for a look.`,
    )
  }
  const missing = rise((each) => each.sequenceGaps?.reduce((all, { lost }) => all + lost, 0))
  if (missing > 0) warnings.push(`${frames(missing)} were lost on their way here ${span}, by their sequence numbers.`)
  const deaths = rise((each) => each.workerRestarts)
  if (deaths > 0) warnings.push(`A worker died and was started again ${span} (${deaths}): the log says why.`)
  if (rise((each) => each.interfaceLosses) > 0) warnings.push(`An interface went away or down ${span}.`)
  if (received === 0 && seconds >= SILENCE_SECONDS) warnings.push(silence(report, span))
  return warnings
}

function silence({ received }: Report, span: string): string {
  if (received > 0) return `Nothing arrived ${span}.`
  return 'Nothing has arrived yet: see whether tunnels reach this host, e.g. tcpdump -ni any udp port 4789.'
}

function frames(count: number): string {
  return count === 1 ? '1 frame' : `${count.toLocaleString('en')} frames`
}

function percent(part: number): string {
  const hundredths = part * 100
  return hundredths < 0.1 ? 'less than 0.1 %' : `${hundredths.toFixed(1)} %`
}
