import { describe, expect, test } from 'vitest'
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, IS_ETHERNET } from '../../src/wire/ether-type.ts'
import { gre } from '../../src/wire/gre.ts'
import { BAD_CHECKSUM, BAD_FLAGS, OK, SHORT_HEADER, UNKNOWN_PAYLOAD } from '../../src/wire/verdict.ts'
import { hex } from './bytes.ts'

const lenient = gre.create({ strict: false })
const strict = gre.create({ strict: true })

function decode(header: string, decapsulator = lenient, cut = 0): number {
  const bytes = hex(header)
  return decapsulator.decode(bytes, 0, bytes.length, bytes.length + cut)
}

// RFC 2784 section 2 and RFC 2890 section 2: C, K and S flags; checksum, key, sequence number, in this order.
test.each([
  ['plain', '0000 6558', 0, 4],
  ['key', '2000 6558 1234 5678', 0x12345678, 8],
  ['sequence number', '1000 6558 0000 0001', 0, 8],
  ['key and sequence number', '3000 6558 ffff ffff 0000 0001', 0xffffffff, 12],
])('the header is as long as its flags say, and the key is read: %s', (_name, header, key, headerBytes) => {
  expect(decode(`${header} ffff`)).toBe(OK)
  expect([lenient.tunnelId, lenient.headerBytes, lenient.etherType]).toEqual([key, headerBytes, IS_ETHERNET])
})

test('the VSID is the upper 24 bits of a key in front of Ethernet, where NVGRE is what the senders speak', () => {
  const nvgre = gre.create({ strict: false, greKeyMode: 'vsid' })
  expect([decode('2000 6558 abcdef 12 ffff', nvgre), nvgre.tunnelId]).toEqual([OK, 0xabcdef])
  expect([decode('2000 0800 abcdef 12 45', nvgre), nvgre.tunnelId]).toEqual([OK, 0xabcdef12])
  expect([decode('1000 88be 0000 0001 1001 0064 0000 0000', nvgre), nvgre.tunnelId]).toEqual([OK, 100])
})

test.each([
  ['0800', ETHERTYPE_IPV4],
  ['86dd', ETHERTYPE_IPV6],
  ['0806', ETHERTYPE_ARP],
])('a payload of EtherType %s has no Ethernet header', (protocol, etherType) => {
  expect(decode(`0000 ${protocol} 45`)).toBe(OK)
  expect(lenient.etherType).toBe(etherType)
})

test.each(['880b', '2001', '00fe', '8847', '0000', '883e', 'ffff'])('protocol %s is no mirrored frame', (protocol) => {
  expect(decode(`0000 ${protocol} 0000`)).toBe(UNKNOWN_PAYLOAD)
})

test('every header that is cut short is refused', () => {
  const whole = hex('b000 6558 0000 0000 0000 0064 0000 0001')
  for (let length = 0; length < whole.length; length++) expect(lenient.decode(whole, 0, length, 99)).toBe(SHORT_HEADER)
})

test('routing (RFC 1701) is refused, version 1 (PPTP) is no mirror', () => {
  expect(decode('4000 0800 0000 0000')).toBe(BAD_FLAGS)
  expect(decode('3001 880b 0000 0000 0000 0001')).toBe(UNKNOWN_PAYLOAD)
})

test('reserved bits are ignored, but refused by --strict', () => {
  for (const header of ['0800 6558', '0400 6558', '0100 6558', '0080 6558', '0008 6558']) {
    expect([header, decode(header), decode(header, strict)]).toEqual([header, OK, BAD_FLAGS])
  }
})

describe('a checksum', () => {
  // By scapy 2.5: GRE(chksum_present=1, proto=0x800)/Raw(b"abcde"): the ones' complement sum of RFC 1071.
  const sound = '8000 0800 4e38 0000 6162 6364 65'

  test('that fits is accepted, one that does not is refused', () => {
    expect(decode(sound)).toBe(OK)
    expect(lenient.headerBytes).toBe(8)
    expect(decode(sound.replace('4e38', '4e39'))).toBe(BAD_CHECKSUM)
  })

  test('of a frame that was cut is not looked at', () => {
    expect(decode(sound.replace('4e38', '4e39'), lenient, 1)).toBe(OK)
  })
})

// draft-foschiano-erspan-03 section 4.
describe('ERSPAN', () => {
  test('I: GRE without a sequence number, and no header of its own', () => {
    expect(decode('0000 88be ffff')).toBe(OK)
    expect([lenient.headerBytes, lenient.tunnelId]).toEqual([4, 0])
  })

  test('II: the session has ten bits', () => {
    expect(decode('1000 88be 0000 0001 1001 ffff 0000 0000 ffff')).toBe(OK)
    expect([lenient.headerBytes, lenient.tunnelId]).toEqual([16, 0x3ff])
  })

  test('III: with and without a platform sub-header', () => {
    expect(decode('1000 22eb 0000 0001 2001 0064 0000 0000 0000 0000 ffff')).toBe(OK)
    expect([lenient.headerBytes, lenient.tunnelId]).toEqual([20, 100])
    expect(decode('1000 22eb 0000 0001 2001 0064 0000 0000 0000 0001 0000 0000 0000 0000 ffff')).toBe(OK)
    expect(lenient.headerBytes).toBe(28)
  })

  test('of another version, cut short, or with a frame that is not Ethernet gets its verdict', () => {
    expect(decode('1000 88be 0000 0001 2001 0064 0000 0000')).toBe(BAD_FLAGS)
    expect(decode('1000 22eb 0000 0001 1001 0064 0000 0000 0000 0000')).toBe(BAD_FLAGS)
    expect(decode('1000 88be 0000 0001 1001 0064 0000 00')).toBe(SHORT_HEADER)
    expect(decode('1000 22eb 0000 0001 2001 0064 0000 0000 0000 00')).toBe(SHORT_HEADER)
    expect(decode('1000 22eb 0000 0001 2001 0064 0000 0000 0000 0001 0000 0000 0000 00')).toBe(SHORT_HEADER)
    expect(decode('1000 22eb 0000 0001 2001 0064 0000 0000 0000 0800')).toBe(UNKNOWN_PAYLOAD)
  })
})
