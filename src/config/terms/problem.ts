import type { z } from 'zod'
import { EXIT_USAGE, Failure } from './failure.ts'

/** An issue's message: what is wrong, and on a second line how to mend it. */
export function problem(what: string, mend: string): string {
  return `${what}\n${mend}`
}

/** All problems that a schema found, each with the option it is about, as one Failure. */
export function usageFailure(error: z.ZodError): Failure {
  const whats: string[] = []
  const mends: string[] = []
  for (const issue of error.issues) {
    const [what = '', mend] = issue.message.split('\n')
    const option = issue.path[0] === undefined ? '' : `--${kebab(String(issue.path[0]))}: `
    whats.push(`${option}${what}`)
    if (mend !== undefined && !mends.includes(mend)) mends.push(mend)
  }
  return new Failure(EXIT_USAGE, whats.join('\n'), mends.join('\n') || 'See mirror-collector --help.')
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
