import { expect, test } from 'vitest'
import { segment } from '../../../src/sinks/device/segment.ts'

test.each([
  ['mtu', 'mtu'],
  ['no', 'no'],
  ['1514', 1514],
  ['590', 590],
  ['65549', 65_549],
])('segment=%s', (text, expected) => {
  expect(segment.parse(text)).toBe(expected)
})

test.each(['', 'yes', '589', '65550', '1514.5', '-1514', '1e3', '1.5KiB'])(
  'segment=%s is refused, and it is said what to write',
  (text) => {
    const { error } = segment.safeParse(text)
    expect(error!.issues[0]!.message).toContain(`"${text}" is no length of segments`)
    expect(error!.issues[0]!.message).toContain('segment=1514')
  },
)
