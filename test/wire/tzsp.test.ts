import { expect, test } from 'vitest'
import { tzsp } from '../../src/wire/tzsp.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD } from '../../src/wire/verdict.ts'
import { hex } from './bytes.ts'

const decapsulator = tzsp.create({ strict: false })

function decode(header: string): number {
  const bytes = hex(header)
  return decapsulator.decode(bytes, 0, bytes.length, bytes.length)
}

test.each([
  ['no tags', '0100 0001 01', 5],
  ['padding', '0100 0001 0000 01', 7],
  ['a signal strength and a channel', '0100 0001 0a01 ff 1201 06 01', 11],
  ['a packet for transmission', '0101 0001 01', 5],
])('the frame starts behind the tag END: %s', (_name, header, headerBytes) => {
  expect(decode(`${header} ffff`)).toBe(OK)
  expect(decapsulator.headerBytes).toBe(headerBytes)
})

test('keepalives, other types and other protocols are no mirrored frames', () => {
  for (const header of ['0104 0000', '0102 0001 01', '0100 0012 01']) expect(decode(header)).toBe(UNKNOWN_PAYLOAD)
})

test('another version is refused', () => {
  expect(decode('0200 0001 01')).toBe(BAD_FLAGS)
})

test('tags that never end, or reach past the end, are refused', () => {
  for (const header of ['', '01', '0100 00', '0100 0001', '0100 0001 0000', '0100 0001 0a', '0100 0001 0aff 01']) {
    expect([header, decode(header)]).toEqual([header, SHORT_HEADER])
  }
})
