import { z } from 'zod'
import { problem } from '../../config/terms/problem.ts'

/** When frames leave: as they came, so many a second, or as soon as they can. */
export type Pace = 'original' | 'max' | number

export const pace: z.ZodType<Pace, string> = z.string().transform((text, context): Pace => {
  if (text === 'original' || text === 'max') return text
  const rate = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && rate > 0 && Number.isFinite(rate)) return rate
  context.addIssue(problem(`"${text}" is no pace`, 'Write original, max or frames a second, e.g. pace=5000.'))
  return z.NEVER
})
