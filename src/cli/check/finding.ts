import { type Failure, toFailureMessage } from '../../config/terms/failure.ts'

/** `note` tells a figure, `warn` what may cost frames, `fail` what keeps the collector from starting. */
export type Level = 'ok' | 'note' | 'warn' | 'fail'

/** One thing that was looked at. */
export interface Finding {
  readonly level: Level
  /** What it is about, in a word or two. */
  readonly about: string
  readonly what: string
  readonly mend?: string
  /** Of a failure: the exit code that collecting would end with. */
  readonly exitCode?: number
}

export function failed(about: string, failure: Failure): Finding {
  return { level: 'fail', about, what: failure.message, mend: failure.mend, exitCode: failure.exitCode }
}

/** For what throws a Failure, or an error that nobody foresaw. */
export function failedBy(about: string, error: unknown): Finding {
  const { what, mend, exitCode } = toFailureMessage(error)
  return { level: 'fail', about, what, mend, exitCode }
}
