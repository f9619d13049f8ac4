import { expect, test } from 'vitest'
import { UdpHeader } from '../../src/wire/udp.ts'
import { BAD_OUTER, OK } from '../../src/wire/verdict.ts'
import { AMID_OFFSET, amid, hex } from './bytes.ts'

function decode(header: string, wireLength: number, captured?: number): { verdict: number; udp: UdpHeader } {
  const bytes = hex(header)
  const udp = new UdpHeader()
  return { udp, verdict: udp.decode(amid(bytes, 0xff), AMID_OFFSET, captured ?? bytes.length, wireLength) }
}

// RFC 768: source port, destination port, length, checksum.
test.each([
  ['a payload', 'c000 12b5 0010 0000', 16, 4789, 8],
  ['no payload', 'c000 12b5 0008 ffff', 8, 4789, 0],
  ['bytes behind the datagram', 'c000 12b5 0010 0000', 60, 4789, 8],
  ['the largest port and length', 'ffff ffff ffff 0000', 65_535, 65_535, 65_527],
  ['port 0', '0000 0000 0009 0000', 9, 0, 1],
  ['length 0 of a jumbogram (RFC 2675)', 'c000 12b5 0000 0000', 70_000, 4789, 69_992],
  ['length 0 and nothing behind the header', 'c000 12b5 0000 0000', 8, 4789, 0],
])('port and payload length are read: %s', (_name, header, wireLength, port, payload) => {
  const { verdict, udp } = decode(header, wireLength)
  expect([verdict, udp.destinationPort, udp.payloadWireLength]).toEqual([OK, port, payload])
})

test.each([
  ...[1, 2, 3, 4, 5, 6, 7].map((length): [string, string, number] => [
    `length ${length}`,
    `c000 12b5 000${length} 0000`,
    60,
  ]),
  ['a length beyond the IP packet', 'c000 12b5 0011 0000', 16],
  ['the largest length in a small packet', 'c000 12b5 ffff 0000', 65_534],
  ['length 0 in an IP packet that is too small', 'c000 12b5 0000 0000', 7],
])('a length that lies is refused: %s', (_name, header, wireLength) => {
  expect(decode(header, wireLength).verdict).toBe(BAD_OUTER)
})

test('every truncation is refused', () => {
  for (let captured = 0; captured < 8; captured++) {
    expect(decode('c000 12b5 0010 0000', 16, captured).verdict).toBe(BAD_OUTER)
  }
})

test('a payload that the capture has cut keeps its length', () => {
  const { verdict, udp } = decode('c000 12b5 03e8 0000', 1000, 8)
  expect([verdict, udp.payloadWireLength]).toEqual([OK, 992])
})
