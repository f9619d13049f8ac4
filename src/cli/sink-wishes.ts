import type { SinkText } from '../config/sink-wish.ts'
import { EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { compileWish } from '../pipeline/filter-wish.ts'
import { sinkType } from '../sinks/registry.ts'
import type { SinkNames, SinkWish } from '../sinks/sink.ts'

/** The options that sinks come from, and what they share. */
export interface SinkOptions {
  readonly out: readonly SinkText[]
  readonly quarantine?: SinkText | undefined
  readonly report?: string | undefined
}

/** What the sinks' texts ask for, their filters compiled. Throws Failure where that cannot be here. */
export function sinkWishes(run: SinkOptions, live: boolean): SinkWish[] {
  const onStandardOutput = run.out.filter((sink) => targetOf(sink) === '-')
  if (onStandardOutput.length + (run.report === '-' ? 1 : 0) > 1) {
    throw new Failure(EXIT_USAGE, 'Standard output was asked for more than once.', 'Give the others a file.')
  }
  refuseSharedNames(run)
  return run.out.map((sink) => sinkWish(sink, '--out', live))
}

/** What a sink's files are called, and the option that says so, for messages. */
export interface NamesOfSink {
  readonly option: string
  readonly names: SinkNames
}

export function sinkNames({ out, quarantine }: SinkOptions): NamesOfSink[] {
  return [...out, ...(quarantine === undefined ? [] : [quarantine])].flatMap((sink) => {
    const names = sinkType(sink.type).names?.(sink.options)
    const option = sink === quarantine ? '--quarantine' : '--out'
    return names === undefined ? [] : [{ option: `${option} ${sink.name}`, names }]
  })
}

function refuseSharedNames(run: SinkOptions): void {
  const all = sinkNames(run)
  for (const [i, { option, names }] of all.entries()) {
    const other = all.slice(i + 1).find((each) => names.clashesWith(each.names))
    if (other === undefined) continue
    throw new Failure(
      EXIT_USAGE,
      `${option} and ${other.option} could give files the same name.`,
      'Give each a name, or a folder, of its own.',
    )
  }
}

/** `option`: where it stood, for messages. Throws Failure. */
export function sinkWish(
  { overflow, queue, filter: expression, ...sink }: SinkText,
  option: string,
  live: boolean,
): SinkWish {
  if (live && overflow === 'block') {
    throw new Failure(
      EXIT_USAGE,
      `${option} "${sink.name}": overflow=block would make the receiver wait and lose every sink's frames.`,
      'Use it with decap, where nothing is lost by waiting; for bursts raise queue=.',
    )
  }
  const filter = expression === undefined ? undefined : compileWish(expression, `${option} "${sink.name}"`)
  return { ...sink, filter, common: { overflow: overflow ?? (live ? 'drop' : 'block'), queue } }
}

/** A sink's target, where its kind has one; `-` is standard output. */
export function targetOf(sink: SinkText): string {
  return (sink.options as { target?: string }).target ?? ''
}
