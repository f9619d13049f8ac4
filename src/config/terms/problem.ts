import type { z } from 'zod'
import { EXIT_CONFIGURATION, EXIT_USAGE, Failure } from './failure.ts'

/** An issue's message: what is wrong, and on a second line how to mend it. */
export function problem(what: string, mend: string): string {
  return `${what}\n${mend}`
}

/** Where the options came from. */
export interface Origin {
  /** How a message names the place of a value: an option, a variable, a line of a file. */
  placeOf(path: readonly PropertyKey[]): string
  /** Whether that place is the command line. */
  isCommandLine(path: readonly PropertyKey[]): boolean
  /** What was wrong before the schema saw it, each as `problem` writes it. */
  readonly problems: readonly string[]
}

const COMMAND_LINE: Origin = {
  placeOf: ([option]) => (option === undefined ? '' : `--${kebab(String(option))}: `),
  isCommandLine: () => true,
  problems: [],
}

/** All problems that a schema found, each with the option it is about, as one Failure. */
export function usageFailure(error: Pick<z.ZodError, 'issues'>, origin: Origin = COMMAND_LINE): Failure {
  const found = error.issues.map((issue) => `${origin.placeOf(issue.path)}${issue.message}`)
  const isUsage = origin.problems.length === 0 && error.issues.every(({ path }) => origin.isCommandLine(path))
  const whats: string[] = []
  const mends: string[] = []
  for (const message of [...origin.problems, ...found]) {
    const [what = '', mend] = message.split('\n')
    whats.push(what)
    if (mend !== undefined && !mends.includes(mend)) mends.push(mend)
  }
  const exitCode = isUsage ? EXIT_USAGE : EXIT_CONFIGURATION
  return new Failure(exitCode, whats.join('\n'), mends.join('\n') || 'See mirror-collector --help.')
}

/** allowFrom -> allow-from */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
