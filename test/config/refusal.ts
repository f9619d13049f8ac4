import { expect } from 'vitest'
import type { z } from 'zod'
import { parseOptions } from '../../src/config/schema.ts'
import { EXIT_USAGE, Failure } from '../../src/config/terms/failure.ts'

/** What a schema says of something that it refuses: one line what, one line how to mend it. */
export function refusal(schema: z.ZodType, given: unknown): { what: string; mend: string } {
  const failure = failureOf(schema, given)
  expect(failure.message).toMatch(/^[^\n]+$/)
  expect(failure.mend).toMatch(/^[^\n]+$/)
  return { what: failure.message, mend: failure.mend }
}

/** The failure that a user gets. */
export function failureOf(schema: z.ZodType, given: unknown): Failure {
  try {
    parseOptions(schema, given)
  } catch (error) {
    expect(error).toBeInstanceOf(Failure)
    expect((error as Failure).exitCode).toBe(EXIT_USAGE)
    return error as Failure
  }
  throw new Error(`${JSON.stringify(given)} was accepted`)
}
