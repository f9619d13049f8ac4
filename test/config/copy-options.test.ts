import { expect, test } from 'vitest'
import { parseMirrorOptions } from '../../src/config/sender-options.ts'
import { EXIT_USAGE, type Failure } from '../../src/config/terms/failure.ts'

const MIRROR = { interface: 'eth0', collector: '10.0.0.2', vni: '100' }

test('what is done to copies is read with its units', () => {
  expect(parseMirrorOptions({ ...MIRROR, snaplen: '96', headers: 'l4', sample: '1/100' })).toMatchObject({
    snaplen: 96,
    headers: 'l4',
    sample: 100,
  })
})

test.each([
  ['snaplen', '67', 'from 68 to 65535'],
  ['snaplen', '65536', 'from 68 to 65535'],
  ['headers', 'l7', 'none of l2, l3, l4'],
  ['sample', '100', 'Write 1/N'],
  ['sample', '1/0', 'Write 1/N'],
  ['sample', '2/3', 'Write 1/N'],
  ['sample', '1/1000000', 'Write 1/N'],
])('--%s %s is refused, with what would do', (option, value, words) => {
  let failure: unknown
  try {
    parseMirrorOptions({ ...MIRROR, [option]: value })
  } catch (error) {
    failure = error
  }
  expect(failure).toMatchObject({ exitCode: EXIT_USAGE })
  const { message, mend } = failure as Failure
  expect(message).toContain(`--${option}: "${value}"`)
  expect(`${message} ${mend}`).toContain(words)
})
