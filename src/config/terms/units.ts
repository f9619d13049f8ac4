import { z } from 'zod'
import { problem } from './problem.ts'

const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  TB: 1000 ** 4,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
}

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** What a text with its unit says, in the smallest unit, rounded ("64MiB", "1.5h"); undefined where it has none. */
export function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text) ?? []
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined
  if (number === undefined || factor === undefined) return undefined
  return Math.round(Number(number) * factor)
}

/** Text with a unit -> bytes, at least 1. */
export const byteSize: z.ZodType<number, string> = quantity('size', SIZE_UNITS, '64MiB')

/** Text with a unit -> milliseconds, at least 1. */
export const duration: z.ZodType<number, string> = quantity('duration', DURATION_UNITS, '60s')

/** Text -> a whole number from 1 on. */
export const positiveInteger: z.ZodType<number, string> = z.string().transform((text, context) => {
  if (/^\d+$/.test(text) && Number(text) > 0 && Number.isSafeInteger(Number(text))) return Number(text)
  context.addIssue(problem(`"${text}" is not a whole number above 0`, 'Write digits only, e.g. 1000.'))
  return z.NEVER
})

function quantity(noun: string, units: Readonly<Record<string, number>>, example: string): z.ZodType<number, string> {
  return z.string().transform((text, context) => {
    const value = parseWithUnit(text, units)
    if (value !== undefined && value > 0 && Number.isSafeInteger(value)) return value
    const mend = `Write a number and its unit, e.g. ${example}; units are ${Object.keys(units).join(', ')}.`
    context.addIssue(problem(`"${text}" is not a ${noun}`, mend))
    return z.NEVER
  })
}
