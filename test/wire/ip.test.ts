import { describe, expect, test } from 'vitest'
import { IpHeader } from '../../src/wire/ip.ts'
import { BAD_OUTER, OK, UNKNOWN_ENCAPSULATION } from '../../src/wire/verdict.ts'
import { AMID_OFFSET, amid, hex } from './bytes.ts'

const IPV4 = 0x0800
const IPV6 = 0x86dd
const ADDRESSES_4 = '0a000001 0a000002'
const ADDRESSES_6 = '20010db8000000000000000000000001 20010db8000000000000000000000002'
const FILLER = '00'.repeat(20)

interface Decoded {
  readonly verdict: number
  readonly ip: IpHeader
}

function decode(etherType: number, bytes: Uint8Array, wireLength = bytes.length, around = 0xff): Decoded {
  const ip = new IpHeader()
  return { ip, verdict: ip.decode(amid(bytes, around), AMID_OFFSET, bytes.length, wireLength, etherType) }
}

function found({ verdict, ip }: Decoded): Record<string, unknown> {
  return {
    verdict,
    headerBytes: ip.headerBytes,
    payload: ip.payloadWireLength,
    protocol: ip.protocol,
    fragment: ip.isFragment,
  }
}

describe('IPv4 (RFC 791)', () => {
  test.each([
    ['no options', `45000028 00010000 40110000 ${ADDRESSES_4}`, 20, 20],
    ['one word of options', `46000028 00010000 40110000 ${ADDRESSES_4} 01010100`, 24, 16],
    ['ten words of options', `4f000050 00010000 40110000 ${ADDRESSES_4} ${'01'.repeat(40)}`, 60, 20],
    ['"don\'t fragment"', `45000028 00014000 40110000 ${ADDRESSES_4}`, 20, 20],
    ['TOS, TTL and checksum of any value', `45ff0028 00010000 0011ffff ${ADDRESSES_4}`, 20, 20],
  ])('a header is read: %s', (_name, header, headerBytes, payload) => {
    const decoded = decode(IPV4, hex(header + FILLER))
    expect(found(decoded)).toEqual({ verdict: OK, headerBytes, payload, protocol: 17, fragment: false })
    expect([decoded.ip.sourceAt, decoded.ip.addressBytes]).toEqual([AMID_OFFSET + 12, 4])
  })

  test.each([
    ['the first piece', '2000', 0, true],
    ['a piece in the middle', '2001', 8, true],
    ['the last piece', '00b9', 1480, false],
    ['the largest offset', '1fff', 65_528, false],
  ])('a fragment is told: %s', (_name, field, offset, more) => {
    const { verdict, ip } = decode(IPV4, hex(`45000028 abcd${field} 40110000 ${ADDRESSES_4} ${FILLER}`))
    expect([verdict, ip.isFragment, ip.fragmentOffset, ip.moreFragments]).toEqual([OK, true, offset, more])
    expect(ip.fragmentId).toBe(0xabcd)
  })

  test('a whole packet behind a fragment is no fragment', () => {
    const ip = new IpHeader()
    const piece = hex(`45000028 00012000 40110000 ${ADDRESSES_4} ${FILLER}`)
    const whole = hex(`45000028 00010000 40110000 ${ADDRESSES_4} ${FILLER}`)
    ip.decode(piece, 0, piece.length, piece.length, IPV4)
    expect(ip.isFragment).toBe(true)
    ip.decode(whole, 0, whole.length, whole.length, IPV4)
    expect(ip.isFragment).toBe(false)
  })

  test('a total length of 0, as Linux writes above 64 KiB, means all that was on the wire', () => {
    const decoded = decode(IPV4, hex(`45000000 00010000 40110000 ${ADDRESSES_4} ${FILLER}`), 100_020)
    expect(found(decoded)).toMatchObject({ verdict: OK, payload: 100_000 })
  })

  test('a trailer behind the packet is not payload', () => {
    expect(decode(IPV4, hex(`4500001c 00010000 40110000 ${ADDRESSES_4} ${FILLER}`)).ip.payloadWireLength).toBe(8)
  })

  test('a packet that the capture has cut keeps the length it states', () => {
    expect(decode(IPV4, hex(`450005dc 00010000 40110000 ${ADDRESSES_4}`), 1500).ip.payloadWireLength).toBe(1480)
  })

  test.each([
    ['version 6', `65000028 00010000 40110000 ${ADDRESSES_4}`],
    ['version 0', `05000028 00010000 40110000 ${ADDRESSES_4}`],
    ['a header length of 0', `40000028 00010000 40110000 ${ADDRESSES_4}`],
    ['a header length of 4 words', `44000028 00010000 40110000 ${ADDRESSES_4}`],
    ['a total length below the header', `45000013 00010000 40110000 ${ADDRESSES_4}`],
    ['a total length within the options', `46000017 00010000 40110000 ${ADDRESSES_4} 01010100`],
  ])('a lie is refused: %s', (_name, header) => {
    expect(decode(IPV4, hex(header + FILLER)).verdict).toBe(BAD_OUTER)
  })

  test('a total length of 0 on a wire too short for the header is refused', () => {
    expect(decode(IPV4, hex(`45000000 00010000 40110000 ${ADDRESSES_4}`), 19).verdict).toBe(BAD_OUTER)
  })

  test('every truncation is refused, of the options too', () => {
    const bytes = hex(`4f000050 00010000 40110000 ${ADDRESSES_4} ${'01'.repeat(40)}`)
    for (let length = 0; length < 60; length++) {
      expect(decode(IPV4, bytes.subarray(0, length), 80, 0x45).verdict).toBe(BAD_OUTER)
    }
    expect(decode(IPV4, bytes, 80).verdict).toBe(OK)
  })
})

/** A fixed header of RFC 8200 section 3 with what follows it. */
function ipv6(next: string, rest: string, payloadLength = rest.replaceAll(' ', '').length / 2): Uint8Array {
  return hex(`60000000 ${payloadLength.toString(16).padStart(4, '0')} ${next} 40 ${ADDRESSES_6} ${rest}`)
}

/** Option PadN (RFC 8200 section 4.2) that fills 6 bytes. */
const PAD = '010400000000'
const UDP = 'c000 12b5 0008 0000'

describe('IPv6 (RFC 8200)', () => {
  test.each([
    ['no extension header', '11', UDP, 40],
    ['hop-by-hop options', '00', `1100${PAD} ${UDP}`, 48],
    ['hop-by-hop options of 16 bytes', '00', `1101${PAD} ${'00'.repeat(8)} ${UDP}`, 56],
    ['destination options', '3c', `1100${PAD} ${UDP}`, 48],
    // RFC 6275 section 6.4: type 2, one segment left, a home address.
    ['a routing header', '2b', `11020201 00000000 20010db8000000000000000000000003 ${UDP}`, 64],
    // RFC 4302 section 2: 4 means (4 + 2) words; SPI, sequence number, 12 bytes of ICV.
    ['an authentication header', '33', `11040000 00000001 00000001 ${'ab'.repeat(12)} ${UDP}`, 64],
    ['four in a row', '00', `2b00${PAD} 3c00${PAD} 3300${PAD} 11000000 00000000 ${UDP}`, 72],
  ])('the payload is found behind %s', (_name, next, rest, headerBytes) => {
    const decoded = decode(IPV6, ipv6(next, rest))
    expect(found(decoded)).toEqual({ verdict: OK, headerBytes, payload: 8, protocol: 17, fragment: false })
    expect([decoded.ip.sourceAt, decoded.ip.addressBytes]).toEqual([AMID_OFFSET + 8, 16])
  })

  // RFC 8200 section 4.5: next header, reserved, 13 bits of offset, 2 reserved, M; identification.
  test.each([
    ['the first piece', '0001', 0, true],
    ['a piece in the middle', '0009', 8, true],
    ['the last piece', '05c0', 1472, false],
    ['the largest offset', 'fff8', 65_528, false],
    ['reserved bits are ignored', '000e', 8, false],
  ])('a fragment is told: %s', (_name, field, offset, more) => {
    const { verdict, ip } = decode(IPV6, ipv6('2c', `1100 ${field} fedcba98 ${UDP}`))
    expect([verdict, ip.isFragment, ip.fragmentOffset, ip.moreFragments]).toEqual([OK, true, offset, more])
    expect([ip.headerBytes, ip.payloadWireLength, ip.protocol, ip.fragmentId]).toEqual([48, 8, 17, 0xfedcba98])
  })

  test('an atomic fragment is a whole packet (RFC 6946)', () => {
    const decoded = decode(IPV6, ipv6('2c', `1100 0000 00000001 ${UDP}`))
    expect(found(decoded)).toEqual({ verdict: OK, headerBytes: 48, payload: 8, protocol: 17, fragment: false })
  })

  test('a whole packet behind a fragment is no fragment', () => {
    const ip = new IpHeader()
    const piece = ipv6('2c', `1100 0001 00000001 ${UDP}`)
    const whole = ipv6('11', UDP)
    ip.decode(piece, 0, piece.length, piece.length, IPV6)
    expect(ip.isFragment).toBe(true)
    ip.decode(whole, 0, whole.length, whole.length, IPV6)
    expect(ip.isFragment).toBe(false)
  })

  test('the data of a later piece is never taken for a header', () => {
    const { verdict, ip } = decode(IPV6, ipv6('2c', `3c00 0008 00000001 11ff ${PAD}`))
    expect([verdict, ip.headerBytes, ip.protocol]).toEqual([OK, 48, 60])
  })

  test('a payload length of 0 means all that was on the wire', () => {
    const packet = ipv6('11', UDP, 0)
    expect(found(decode(IPV6, packet, 100_040))).toMatchObject({ verdict: OK, payload: 100_000 })
  })

  test('a jumbogram (RFC 2675) has its length from the wire', () => {
    const decoded = decode(IPV6, ipv6('00', `1100 c204 00011178 ${UDP}`, 0), 70_048)
    expect(found(decoded)).toMatchObject({ verdict: OK, headerBytes: 48, payload: 70_000 })
  })

  test('a trailer behind the packet is not payload', () => {
    expect(decode(IPV6, ipv6('11', UDP + FILLER, 8)).ip.payloadWireLength).toBe(8)
  })

  test.each([
    ['version 4', hex(`40000000 0008 11 40 ${ADDRESSES_6} ${UDP}`)],
    ['an extension header longer than the packet', ipv6('00', `11ff${PAD} ${UDP}`)],
    ['an extension header that ends behind the payload', ipv6('00', `1100${PAD} ${UDP}`, 4)],
    ['a fragment header behind the payload', ipv6('2c', `1100 0000 00000001 ${UDP}`, 7)],
    ['a long authentication header', ipv6('33', `11ff0000 00000001 ${UDP}`)],
  ])('a lie is refused: %s', (_name, packet) => {
    expect(decode(IPV6, packet).verdict).toBe(BAD_OUTER)
  })

  test.each([
    ['the fixed header', ipv6('11', ''), 40],
    ['hop-by-hop options', ipv6('00', `1100${PAD}`, 100), 48],
    ['a routing header', ipv6('2b', `11020201 00000000 20010db8000000000000000000000003`, 100), 64],
    ['a fragment header', ipv6('2c', '1100 0001 00000001', 100), 48],
    ['an authentication header', ipv6('33', `11040000 00000001 00000001 ${'ab'.repeat(12)}`, 100), 64],
    ['several', ipv6('00', `3c00${PAD} 1100${PAD}`, 100), 56],
  ])('every truncation is refused: %s', (_name, packet, headerBytes) => {
    for (let length = 0; length < headerBytes; length++) {
      expect(decode(IPV6, packet.subarray(0, length), 140, 0).verdict).toBe(BAD_OUTER)
    }
    expect(decode(IPV6, packet, 140, 0).verdict).toBe(OK)
  })
})

test('another EtherType than that of IP is unknown', () => {
  expect(decode(0x0806, hex(`45000028 00010000 40110000 ${ADDRESSES_4}`)).verdict).toBe(UNKNOWN_ENCAPSULATION)
})
