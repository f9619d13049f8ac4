import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

export interface Settings {
  /** One repeat, one frame length: to see that everything runs. */
  readonly quick: boolean
  /** The memory part floods for ten minutes. */
  readonly long: boolean
  /** The C program in the collector's place: what the harness says of two equals. */
  readonly self: boolean
  /** Repeats of a search; figures are their medians. */
  readonly repeats: number
  /** Length of one flood. */
  readonly seconds: number
}

/** One line of the table. A row without `holds` has no target or could not be measured, and says so in `measure`. */
export interface Row {
  readonly part: string
  readonly measure: string
  readonly ours?: string
  readonly yardstick?: string
  readonly ratio?: number
  readonly target?: string
  readonly holds?: boolean
  /** Every single figure that the row is the median of. */
  readonly samples?: unknown
}

interface Measurement {
  readonly part: string
  readonly measure: string
  readonly ours: string
  readonly samples: unknown
  readonly yardstick?: string
  readonly ratio?: number
}

/** A row judged by its ratio: `atLeast` or `atMost` is the target. */
export function measured(row: Measurement & { ratio: number } & ({ atLeast: number } | { atMost: number })): Row {
  if ('atLeast' in row) {
    const { atLeast, ...rest } = row
    return { ...rest, target: `ratio >= ${atLeast}`, holds: row.ratio >= atLeast }
  }
  const { atMost, ...rest } = row
  return { ...rest, target: `ratio <= ${atMost}`, holds: row.ratio <= atMost }
}

/** A row judged by its own value: below `limit`, shown with `unit`. */
export function bounded(row: Measurement & { value: number; below: number; unit: string }): Row {
  const { value, below, unit, ...rest } = row
  return { ...rest, target: `< ${below} ${unit}`, holds: value < below }
}

/** The machine and the versions that the figures belong to. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  const memory = Math.round(totalmem() / 2 ** 30)
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return `${cpus().length} x ${model}, ${memory} GiB, Linux ${release()}, Node ${process.version}, mirror-collector ${version}`
}

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const verdict = (row: Row): string => (row.holds === undefined ? '' : row.holds ? 'holds' : '**misses**')
  const lines = rows.map((row) => [
    row.part,
    row.measure,
    row.ours ?? '',
    row.yardstick ?? '',
    row.ratio?.toFixed(2) ?? '',
    row.target ?? '',
    verdict(row),
  ])
  const head = ['part', 'measure', 'mirror-collector', 'compared with', 'ratio', 'target', 'verdict']
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}
