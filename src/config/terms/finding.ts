import { type FailureMessage, toFailureMessage } from './failure.ts'

/** `note` tells a figure, `warn` what may cost frames, `fail` what keeps the collector from starting. */
export type Level = 'ok' | 'note' | 'warn' | 'fail'

/** What `check` found when it looked at one thing. */
export interface Finding {
  readonly level: Level
  readonly what: string
  readonly mend?: string
  /** Of a failure: the exit code that collecting would end with. */
  readonly exitCode?: number
}

export function failed(exitCode: number, what: string, mend: string): Finding {
  return { level: 'fail', what, mend, exitCode }
}

/** A figure for people. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`
}

/** For what throws a Failure, or an error that nobody foresaw. */
export function failedBy(error: unknown): Finding {
  const { what, mend, exitCode }: FailureMessage = toFailureMessage(error)
  return failed(exitCode, what, mend)
}
