import { expect, test } from 'vitest'
import { pcapngOptions, pcapOptions } from '../../../src/sinks/pcap/options.ts'
import { refusal } from '../../config/refusal.ts'

const GIBIBYTE = 2 ** 30

test('without settings there are files by the time, in nanoseconds, whole and kept', () => {
  expect(pcapOptions.parse({})).toEqual({ target: './mirror-%Y%m%d-%H%M%S.pcap', precision: 'ns', 'open-files': 128 })
  expect(pcapngOptions.parse({})).toEqual({ target: './mirror-%Y%m%d-%H%M%S.pcapng', 'open-files': 128 })
})

test.each([
  ['100MiB', { bytes: 100 << 20 }],
  ['60s', { seconds: 60 }],
  ['1h', { seconds: 3600 }],
  ['2000ms', { seconds: 2 }],
  ['1GiB,5m', { bytes: GIBIBYTE, seconds: 300 }],
  ['5m,1GiB', { bytes: GIBIBYTE, seconds: 300 }],
])('rotate=%s', (text, rotate) => {
  expect(pcapOptions.parse({ rotate: text }).rotate).toEqual(rotate)
  expect(pcapngOptions.parse({ rotate: text }).rotate).toEqual(rotate)
})

test.each([
  ['10', { files: 10 }],
  ['10GiB', { bytes: 10 * GIBIBYTE }],
  ['10,10GiB', { files: 10, bytes: 10 * GIBIBYTE }],
])('keep=%s', (text, keep) => {
  expect(pcapOptions.parse({ keep: text }).keep).toEqual(keep)
})

test.each(['', '100', '1500ms', '0s', '100MiB,', 'daily'])('rotate=%s is refused', (rotate) => {
  const said = refusal(pcapOptions, { rotate })
  expect(said.what).toContain('is neither a size nor whole seconds')
  expect(said.mend).toContain('rotate=100MiB')
})

test.each(['', '0', '-1', '1.5', '10s', '10,'])('keep=%s is refused', (keep) => {
  const said = refusal(pcapOptions, { keep })
  expect(said.what).toContain('is neither a number of files nor a size')
  expect(said.mend).toContain('keep=10')
})

test('standard output is a target, a path with an unknown field is none', () => {
  expect(pcapOptions.parse({ target: '-' }).target).toBe('-')
  expect(refusal(pcapOptions, { target: '/data/{nobody}.pcap' }).what).toContain('{nobody}')
})
