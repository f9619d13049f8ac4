import { expect, test } from 'vitest'
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, IS_ETHERNET } from '../../src/wire/ether-type.ts'
import { geneve } from '../../src/wire/geneve.ts'
import { BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD } from '../../src/wire/verdict.ts'
import { hex } from './bytes.ts'

const lenient = geneve.create({ strict: false })
const strict = geneve.create({ strict: true })

function decode(header: string, decapsulator = lenient): number {
  const bytes = hex(header)
  return decapsulator.decode(bytes, 0, bytes.length, bytes.length)
}

// RFC 8926 section 3.4: version and option length in words, O and C flags, protocol, VNI, reserved.
test.each([
  ['no options', '0000 6558 ffff ff00', 0xffffff, 8],
  ['one option of the AWS gateway load balancer', '0300 6558 0000 6400 0108 0102 0000 0000 0000 0001', 100, 20],
  ['63 words of options', `3f00 6558 0000 0100 ${'0000'.repeat(126)}`, 1, 260],
])('the VNI is read and options are passed over: %s', (_name, header, vni, headerBytes) => {
  for (const decapsulator of [lenient, strict]) {
    expect(decode(`${header} ffff`, decapsulator)).toBe(OK)
    expect([decapsulator.tunnelId, decapsulator.headerBytes]).toEqual([vni, headerBytes])
  }
})

test.each([
  ['6558', IS_ETHERNET],
  ['0800', ETHERTYPE_IPV4],
  ['86dd', ETHERTYPE_IPV6],
  ['0806', ETHERTYPE_ARP],
])('protocol %s', (protocol, etherType) => {
  expect(decode(`0000 ${protocol} 0000 6400`)).toBe(OK)
  expect(lenient.etherType).toBe(etherType)
})

test('other protocols and control packets are no mirrored frames', () => {
  expect(decode('0000 8847 0000 6400')).toBe(UNKNOWN_PAYLOAD)
  expect(decode('0080 6558 0000 6400')).toBe(UNKNOWN_PAYLOAD)
})

test('another version is refused', () => {
  for (const first of ['40', '80', 'c0']) expect(decode(`${first}00 6558 0000 6400`)).toBe(BAD_FLAGS)
})

test('reserved bits are accepted, but refused by --strict', () => {
  for (const header of ['0020 6558 0000 6400', '0001 6558 0000 6400', '0000 6558 0000 6401']) {
    expect([header, decode(header), decode(header, strict)]).toEqual([header, OK, BAD_FLAGS])
  }
})

// RFC 8926 section 3.5: class, type with the critical bit 0x80, length in words.
test.each([
  ['an unknown class', '0102 80 01 00000001', BAD_FLAGS],
  ['an unknown class behind a known one', '0108 81 00 ffff 80 00', BAD_FLAGS],
  ['a type of AWS that is not known', '0108 84 01 00000001', BAD_FLAGS],
  ['an option that reaches past the last', '0108 01 02 00000001', BAD_FLAGS],
  ['AWS: endpoint', '0108 81 02 0000000000000001', OK],
  ['AWS: flow cookie', '0108 83 01 00000001', OK],
  ['GCP', '0132 82 01 00000001', OK],
  ['an unknown class that is not critical', '0102 01 01 00000001', OK],
])('critical options are accepted, and under --strict where they are known: %s', (_name, options, verdict) => {
  const words = hex(options).length / 4
  const header = `0${words} 40 6558 0000 6400 ${options} ffff`
  expect([decode(header), decode(header, strict)]).toEqual([OK, verdict])
})

test('every header that is cut short is refused, options included', () => {
  const whole = hex('0200 6558 0000 6400 0108 0101 0000 0001')
  for (let length = 0; length < whole.length; length++) expect(lenient.decode(whole, 0, length, 99)).toBe(SHORT_HEADER)
  expect(lenient.decode(whole, 0, whole.length, 99)).toBe(OK)
})
