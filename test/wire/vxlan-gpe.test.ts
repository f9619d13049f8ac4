import { expect, test } from 'vitest'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, IS_ETHERNET } from '../../src/wire/ether-type.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD } from '../../src/wire/verdict.ts'
import { vxlanGpe } from '../../src/wire/vxlan-gpe.ts'
import { hex } from './bytes.ts'

const lenient = vxlanGpe.create({ strict: false })
const strict = vxlanGpe.create({ strict: true })

function decode(header: string, decapsulator = lenient): number {
  const bytes = hex(header)
  return decapsulator.decode(bytes, 0, bytes.length, bytes.length)
}

// draft-ietf-nvo3-vxlan-gpe section 3: R R Ver Ver I P B O, 16 reserved bits, next protocol, VNI, reserved.
test.each([
  ['Ethernet', '0c00 0003', IS_ETHERNET],
  ['IPv4', '0c00 0001', ETHERTYPE_IPV4],
  ['IPv6', '0c00 0002', ETHERTYPE_IPV6],
  ['Ethernet, as the P flag is clear', '0800 0000', IS_ETHERNET],
])('%s follows', (_name, start, etherType) => {
  for (const decapsulator of [lenient, strict]) {
    expect(decode(`${start} ffff ff00`, decapsulator)).toBe(OK)
    expect([decapsulator.etherType, decapsulator.tunnelId]).toEqual([etherType, 0xffffff])
  }
})

test('a network service header, MPLS and OAM are no mirrored frames', () => {
  for (const start of ['0c00 0004', '0c00 0005', '0d00 0003'])
    expect(decode(`${start} 0000 6400`)).toBe(UNKNOWN_PAYLOAD)
})

test('without a valid VNI, or of another version, a header is refused', () => {
  for (const start of ['0400 0003', '1c00 0003', '2c00 0003']) expect(decode(`${start} 0000 6400`)).toBe(BAD_FLAGS)
})

test('reserved bits are ignored, but refused by --strict', () => {
  for (const header of ['8c00 0003 0000 6400', '4c00 0003 0000 6400', '0c01 0003 0000 6400', '0c00 0003 0000 6401']) {
    expect([header, decode(header), decode(header, strict)]).toEqual([header, OK, BAD_FLAGS])
  }
})

test('every header that is cut short is refused', () => {
  const whole = hex('0c00 0003 0000 6400')
  for (let length = 0; length < whole.length; length++) expect(lenient.decode(whole, 0, length, 99)).toBe(SHORT_HEADER)
})
