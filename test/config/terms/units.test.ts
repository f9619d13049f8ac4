import { expect, test } from 'vitest'
import { byteSize, duration, positiveInteger } from '../../../src/config/terms/units.ts'
import { refusal } from '../refusal.ts'

test.each([
  ['1B', 1],
  ['512kB', 512_000],
  ['64MB', 64_000_000],
  ['2GB', 2e9],
  ['1TB', 1e12],
  ['4KiB', 4096],
  ['64MiB', 67_108_864],
  ['1.5GiB', 1_610_612_736],
  ['2TiB', 2_199_023_255_552],
  ['0.6B', 1],
])('the size %s is %d bytes', (text, bytes) => {
  expect(byteSize.parse(text)).toBe(bytes)
})

test.each([
  ['1ms', 1],
  ['250ms', 250],
  ['10s', 10_000],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
])('the duration %s is %d ms', (text, milliseconds) => {
  expect(duration.parse(text)).toBe(milliseconds)
})

test.each([
  ['1', 1],
  ['1000', 1000],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
])('the number %s is %d', (text, number) => {
  expect(positiveInteger.parse(text)).toBe(number)
})

const NO_QUANTITY = [
  '',
  ' ',
  '10',
  'MiB',
  '0MiB',
  '0.1B',
  '-1MiB',
  '+1MiB',
  '1 MiB',
  '1e3B',
  '.5MiB',
  '1.MiB',
  '1,5MiB',
]

test.each([...NO_QUANTITY, '1mib', '1MIB', '1M', '1MiBs', '1constructor', '999999999TiB', '1s'])(
  '"%s" is no size',
  (text) => {
    expect(refusal(byteSize, text)).toEqual({
      what: `"${text}" is not a size`,
      mend: 'Write a number and its unit, e.g. 64MiB; units are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB.',
    })
  },
)

test.each(['', '10', 's', '0s', '0.4ms', '-1s', '1 s', '1S', '1min', '1toString', '1MiB', '99999999999999d'])(
  '"%s" is no duration',
  (text) => {
    expect(refusal(duration, text)).toEqual({
      what: `"${text}" is not a duration`,
      mend: 'Write a number and its unit, e.g. 60s; units are ms, s, m, h, d.',
    })
  },
)

test.each(['', '0', '00', '-1', '1.5', '1e3', '0x10', ' 1', '9007199254740992', 'ten'])('"%s" is no number', (text) => {
  expect(refusal(positiveInteger, text)).toEqual({
    what: `"${text}" is not a whole number above 0`,
    mend: 'Write digits only, e.g. 1000.',
  })
})
