import type { z } from 'zod'
import { EXIT_CONFIGURATION, EXIT_USAGE, Failure } from './failure.ts'

/** So many problems are told; of more, how many. */
export const MOST_PROBLEMS = 20

/** An issue's message: what is wrong, and on a second line how to mend it. Line feeds in what it quotes are shown as such. */
export function problem(what: string, mend: string): string {
  return `${what.replaceAll('\n', '\\n')}\n${mend}`
}

/** One a line, the first of them. */
export function listProblems(whats: readonly string[]): string {
  const more = whats.length - MOST_PROBLEMS
  return [...whats.slice(0, MOST_PROBLEMS), ...(more > 0 ? [`... and ${more} more`] : [])].join('\n')
}

/** Without Zod's own texts. */
export function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value' && issue.message.startsWith('Invalid '))
    return `is none of ${issue.values.map(String).join(', ')}`
  if (issue.message.startsWith('Invalid input')) return 'is missing'
  if (issue.message.startsWith('Too small')) return 'is empty'
  return issue.message
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
  const found = error.issues.map((issue) => `${origin.placeOf(issue.path)}${messageOf(issue)}`)
  const isUsage = origin.problems.length === 0 && error.issues.every(({ path }) => origin.isCommandLine(path))
  const whats: string[] = []
  const mends: string[] = []
  for (const message of [...origin.problems, ...found]) {
    const [what = '', mend] = message.split('\n')
    whats.push(what)
    if (mend !== undefined && !mends.includes(mend)) mends.push(mend)
  }
  const exitCode = isUsage ? EXIT_USAGE : EXIT_CONFIGURATION
  return new Failure(exitCode, listProblems(whats), mends.join('\n') || 'See mirror-collector --help.')
}

/** allowFrom -> allow-from */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
