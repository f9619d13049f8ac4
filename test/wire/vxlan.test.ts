import { expect, test } from 'vitest'
import type { Decapsulator } from '../../src/wire/decapsulator.ts'
import { IS_ETHERNET } from '../../src/wire/ether-type.ts'
import { BAD_FLAGS, OK, SHORT_HEADER } from '../../src/wire/verdict.ts'
import { vxlan } from '../../src/wire/vxlan.ts'
import { AMID_OFFSET, amid, hex } from './bytes.ts'

const lenient = vxlan.create({ strict: false })
const strict = vxlan.create({ strict: true })

function decode(decapsulator: Decapsulator, header: string): number {
  const bytes = hex(header)
  return decapsulator.decode(amid(bytes, 0xa5), AMID_OFFSET, bytes.length, bytes.length)
}

// RFC 7348 section 5: flags RRRRIRRR, 24 reserved bits, 24 bits of VNI, 8 reserved bits.
test.each([
  ['the smallest', '0800 0000 0000 0000', 0],
  ['one', '0800 0000 0000 0100', 1],
  ['each byte in its place', '0800 0000 1234 5600', 0x123456],
  ['the largest', '0800 0000 ffff ff00', 0xffffff],
])('the VNI is read: %s', (_name, header, vni) => {
  for (const decapsulator of [lenient, strict]) {
    expect(decode(decapsulator, header)).toBe(OK)
    expect(decapsulator.tunnelId).toBe(vni)
  }
})

test('an Ethernet frame follows a header of 8 bytes', () => {
  expect(decode(lenient, '0800 0000 0000 0100 ffff')).toBe(OK)
  expect(lenient.headerBytes).toBe(8)
  expect(lenient.etherType).toBe(IS_ETHERNET)
})

test('a header without the I flag is refused, whatever other bits are set', () => {
  for (const decapsulator of [lenient, strict]) {
    expect(decode(decapsulator, '0000 0000 0000 0100')).toBe(BAD_FLAGS)
    expect(decode(decapsulator, 'f7ff ffff ffff ffff')).toBe(BAD_FLAGS)
  }
})

test.each([0, 1, 2, 3, 4, 5, 6, 7])('%i bytes are too short for a header', (length) => {
  const bytes = amid(hex('0800 0000 0000 0100').subarray(0, length), 0x08)
  for (const decapsulator of [lenient, strict]) {
    expect(decapsulator.decode(bytes, AMID_OFFSET, length, length)).toBe(SHORT_HEADER)
  }
})

/** Every bit that RFC 7348 reserves, but the three that the group policy draft gives a meaning. */
const reservedBits = [
  ...[0x40, 0x20, 0x10, 0x04, 0x02, 0x01].map((bit) => ({ byte: 0, bit })),
  ...[1, 2, 3, 7].flatMap((byte) => [0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01].map((bit) => ({ byte, bit }))),
]

test.each(reservedBits)('reserved bit $bit of byte $byte is ignored, but refused by --strict', ({ byte, bit }) => {
  const header = hex('0800 0000 00ab cd00')
  header[byte]! |= bit
  expect(lenient.decode(header, 0, 8, 8)).toBe(OK)
  expect(lenient.tunnelId).toBe(0xabcd)
  expect(strict.decode(header, 0, 8, 8)).toBe(BAD_FLAGS)
})

// draft-smith-vxlan-group-policy-05 section 2.1: |G|R|R|R|I|R|R|R|R|D|R|R|A|R|R|R|, then 16 bits of group policy.
test.each([
  ['G alone', '8800 0000 0000 0100'],
  ['G and the largest group', '8800 ffff 0000 0100'],
  ['G and D', '8840 0001 0000 0100'],
  ['G and A', '8808 0001 0000 0100'],
  ['G, D and A', '8848 0001 0000 0100'],
])('--strict lets a group policy through: %s', (_name, header) => {
  expect(decode(strict, header)).toBe(OK)
  expect(strict.tunnelId).toBe(1)
})

test.each([
  ['D without G', '0840 0000 0000 0100'],
  ['A without G', '0808 0000 0000 0100'],
  ['a group without G', '0800 0001 0000 0100'],
  ...[0x80, 0x20, 0x10, 0x04, 0x02, 0x01].map((bit) => [
    `bit ${bit} beside D and A`,
    `88${bit.toString(16).padStart(2, '0')} 0001 0000 0100`,
  ]),
  ['the last byte', '8800 0001 0000 0101'],
])('--strict refuses in a group policy header: %s', (_name, header) => {
  expect(decode(strict, header!)).toBe(BAD_FLAGS)
  expect(decode(lenient, header!)).toBe(OK)
})
