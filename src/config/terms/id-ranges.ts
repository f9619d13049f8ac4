import { z } from 'zod'
import type { IdRange } from '../../frames/number-set.ts'
import { problem } from './problem.ts'

/** GRE keys have 32 bits, VNIs 24. */
const LARGEST_ID = 2 ** 32 - 1
const HOW = 'Write identifiers and ranges, ! before those to refuse, e.g. 100,200-299,!250.'

/** "100,200-299,!250" -> ranges; `!` denies. */
export const idRanges: z.ZodType<IdRange[], string> = z.string().transform((text, context) => {
  const ranges: IdRange[] = []
  for (const part of text.split(',')) {
    const range = parseRange(part.trim())
    if (typeof range === 'string') {
      context.addIssue(problem(range, HOW))
      return z.NEVER
    }
    ranges.push(range)
  }
  return ranges
})

/** A text tells what is wrong. */
function parseRange(part: string): IdRange | string {
  const [, deny, first, last] = /^(!?)(\d+)(?:-(\d+))?$/.exec(part) ?? []
  if (first === undefined) return `"${part}" is neither an identifier nor a range`
  const from = Number(first)
  const to = Number(last ?? first)
  if (to < from) return `the range ${part} runs backwards`
  if (to > LARGEST_ID) return `${to} is above ${LARGEST_ID}, the largest identifier there is`
  return { from, to, deny: deny === '!' }
}
