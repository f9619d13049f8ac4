import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import {
  addressOffset,
  addressText,
  familyAt,
  portAt,
  SOCKADDR_BYTES,
  scopeIdAt,
  scopeOfZone,
  writeSocketAddress,
} from '../../src/dgram-extended/socket-address.ts'

/** ip(7), ipv6(7) on a little-endian machine: family as the machine has it; port and address in the network's order. */
const cases: [text: string, port: number, bytes: string][] = [
  ['127.0.0.1', 4789, '0200 12b5 7f000001 0000000000000000'],
  ['255.255.255.255', 65535, '0200 ffff ffffffff 0000000000000000'],
  ['0.0.0.0', 0, '0200 0000 00000000 0000000000000000'],
  ['::', 0, '0a00 0000 00000000 00000000000000000000000000000000 00000000'],
  ['::1', 258, '0a00 0102 00000000 00000000000000000000000000000001 00000000'],
  ['2001:db8::8:800:200c:417a', 4789, '0a00 12b5 00000000 20010db80000000000080800200c417a 00000000'],
  ['1:2:3:4:5:6:7:8', 1, '0a00 0001 00000000 00010002000300040005000600070008 00000000'],
  ['ff02::', 1, '0a00 0001 00000000 ff020000000000000000000000000000 00000000'],
  ['::ffff:192.0.2.1', 1, '0a00 0001 00000000 00000000000000000000ffffc0000201 00000000'],
  ['fe80::1%7', 1, '0a00 0001 00000000 fe800000000000000000000000000001 07000000'],
  ['fe80::1%4294967295', 1, '0a00 0001 00000000 fe800000000000000000000000000001 ffffffff'],
]

describe.each(cases)('%s port %i', (text, port, hex) => {
  const expected = Buffer.from(hex.replaceAll(' ', ''), 'hex')

  test('is written as a struct sockaddr, and nothing beside it', () => {
    const bytes = new Uint8Array(SOCKADDR_BYTES + 16).fill(0xa5)
    expect(writeSocketAddress(bytes, 8, text, port)).toBe(expected.length)
    expect(Buffer.from(bytes.subarray(8, 8 + expected.length))).toEqual(expected)
    expect([...bytes.subarray(0, 8), ...bytes.subarray(8 + SOCKADDR_BYTES)]).toEqual(new Array(16).fill(0xa5))
  })

  test('is read from one', () => {
    const bytes = new Uint8Array(64)
    bytes.set(expected, 16)
    expect(addressText(bytes, 16)).toBe(text)
    expect(portAt(bytes, 16)).toBe(port)
    expect(familyAt(bytes, 16)).toBe(expected[0])
    expect(scopeIdAt(bytes, 16)).toBe(Number(text.split('%')[1] ?? 0))
    expect(addressOffset(bytes, 16)).toBe(16 + (text.includes(':') ? 8 : 4))
  })
})

test.each(['', 'localhost', '1.2.3', '1.2.3.4.5', '::g', '1::2::3'])('%j is no address', (text) => {
  expect(() => writeSocketAddress(new Uint8Array(32), 0, text, 1)).toThrow(TypeError)
})

test('a link-local address of an interface that is not there is told as the kernel would', () => {
  expect(() => writeSocketAddress(new Uint8Array(32), 0, 'fe80::1%nosuch0', 1)).toThrow(
    expect.objectContaining({ code: 'ENODEV' }),
  )
})

test.each([-1, 65536, 1.5, Number.NaN])('%d is no port', (port) => {
  expect(() => writeSocketAddress(new Uint8Array(32), 0, '::1', port)).toThrow(RangeError)
})

test('a zone is the number of its interface, and 0 when there is none', () => {
  for (const [name, entries] of Object.entries(networkInterfaces()))
    for (const entry of entries ?? [])
      if (entry.family === 'IPv6' && entry.scopeid !== 0) expect(scopeOfZone(name)).toBe(entry.scopeid)
  expect(scopeOfZone('12')).toBe(12)
  expect(scopeOfZone('nosuch0')).toBe(0)
})
