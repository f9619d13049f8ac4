import { expect, test } from 'vitest'
import { z } from 'zod'
import * as failures from '../../../src/config/terms/failure.ts'
import { problem, usageFailure } from '../../../src/config/terms/problem.ts'

const { Failure, toFailureMessage } = failures

test('exit codes are those of sysexits.h', () => {
  expect({
    usage: failures.EXIT_USAGE,
    noInput: failures.EXIT_NO_INPUT,
    unavailable: failures.EXIT_UNAVAILABLE,
    software: failures.EXIT_SOFTWARE,
    cannotCreate: failures.EXIT_CANNOT_CREATE,
    io: failures.EXIT_IO,
    noPermission: failures.EXIT_NO_PERMISSION,
    configuration: failures.EXIT_CONFIGURATION,
  }).toEqual({
    usage: 64,
    noInput: 66,
    unavailable: 69,
    software: 70,
    cannotCreate: 73,
    io: 74,
    noPermission: 77,
    configuration: 78,
  })
})

test('a failure crosses the border of a thread with all it says', () => {
  const message = toFailureMessage(new Failure(69, 'The port is in use.', 'Take another.'))
  expect(structuredClone(message)).toEqual({ exitCode: 69, what: 'The port is in use.', mend: 'Take another.' })
})

test.each([
  ['an Error', new TypeError('x is undefined'), 'TypeError: x is undefined'],
  ['a text', 'boom', 'boom'],
  ['nothing', undefined, 'undefined'],
])('%s that nobody expected is told as a defect', (_name, thrown, text) => {
  const { exitCode, what, mend } = toFailureMessage(thrown)
  expect(exitCode).toBe(70)
  expect(what).toContain(text)
  expect(mend).toContain('report')
})

test('every problem is told with its option, and each way to mend it once', () => {
  const bad = z.string().transform((_text, context) => {
    context.addIssue(problem('bad', 'Mend it.'))
    return z.NEVER
  })
  const schema = z.strictObject({ allowFrom: bad, snaplen: bad, vni: z.string() })
  const error = schema.safeParse({ allowFrom: 'a', snaplen: 'b', vni: 'c', other: 1 }).error!
  const failure = usageFailure(error)
  expect(failure.message.split('\n')).toEqual([
    '--allow-from: bad',
    '--snaplen: bad',
    expect.stringContaining('"other"'),
  ])
  expect(failure.mend).toBe('Mend it.')
  expect(failure.exitCode).toBe(64)
})

test('a problem that says nothing of its mending points at --help', () => {
  const error = z.strictObject({ out: z.enum(['a']) }).safeParse({ out: 'b' }).error!
  expect(usageFailure(error).mend).toBe('See mirror-collector --help.')
})
