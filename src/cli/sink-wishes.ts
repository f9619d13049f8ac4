import type { SinkText } from '../config/sink-wish.ts'
import { EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { compileWish } from '../pipeline/filter-wish.ts'
import type { SinkWish } from '../sinks/sink.ts'

/** What the sinks' texts ask for, their filters compiled. Throws Failure where that cannot be here. */
export function sinkWishes(
  run: { readonly out: readonly SinkText[]; readonly report?: string | undefined },
  live: boolean,
): SinkWish[] {
  const onStandardOutput = run.out.filter((sink) => targetOf(sink) === '-')
  if (onStandardOutput.length + (run.report === '-' ? 1 : 0) > 1) {
    throw new Failure(EXIT_USAGE, 'Standard output was asked for more than once.', 'Give the others a file.')
  }
  return run.out.map((sink) => sinkWish(sink, '--out', live))
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
