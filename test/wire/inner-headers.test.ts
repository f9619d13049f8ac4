import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InnerHeaders } from '../../src/wire/inner-headers.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../src/wire/link-type.ts'
import { uint16 } from '../../src/wire/read.ts'
import { innerFrames } from '../pipeline/inner-frames.ts'
import { requires } from '../support/requirements.ts'
import { AMID_OFFSET, amid, hex } from './bytes.ts'

function read(bytes: Uint8Array, offset: number, captured: number, linkType = LINKTYPE_ETHERNET): number[] {
  const headers = new InnerHeaders()
  headers.decode(bytes, offset, captured, linkType)
  const length = new InnerHeaders().lengthOnWire(bytes, offset, captured, linkType)
  const { networkAt, etherType, transportAt, protocol, statedEnd, isFragment, isRouted } = headers
  return [networkAt, etherType, transportAt, protocol, statedEnd, Number(isFragment), Number(isRouted), length]
}

requires('scapy')('what scapy has built is read as scapy reads it, and the length survives every cut behind it', () => {
  const frames = innerFrames()
  expect(frames.length).toBeGreaterThan(700)
  for (const { bytes: text, network, transport, protocol, fragment, kind } of frames) {
    const bytes = hex(text)
    const [networkAt, , transportAt, found, statedEnd, isFragment, , length] = read(bytes, 0, bytes.length)
    expect([networkAt, transportAt, found, isFragment]).toEqual([network, transport, protocol, Number(fragment)])
    // An IPv6 length of 0 is also what a jumbogram has: it says nothing.
    const says = kind !== 'arp' && (bytes[network]! >> 4 === 4 || uint16(bytes, network + 4) > 0)
    expect([statedEnd, length]).toEqual(says ? [bytes.length, bytes.length] : [0, 0])
    for (let captured = 0; captured < bytes.length; captured += captured < 120 ? 1 : 97) {
      const cut = read(bytes, 0, captured)
      expect(cut[7]).toBe(!says || captured < network + (bytes[network]! >> 4 === 4 ? 4 : 6) ? 0 : bytes.length)
      expect(cut[0]).toBeLessThanOrEqual(captured)
      expect(cut[2]).toBeLessThanOrEqual(captured)
      expect(cut[3] === protocol || cut[3] === -1).toBe(true)
    }
  }
})

/** RFC 2675: a payload of 80 000 bytes behind an IPv6 header whose own length is 0. */
const JUMBO = `020000000002 020000000001 86dd 60000000 0000 00 40 ${'20010db8000000000000000000000001'.repeat(2)} 06 00 c204 00013880`

test('the length of a jumbogram is read, and one that no frame has is not believed', () => {
  const sound = hex(JUMBO)
  expect(read(sound, 0, sound.length)[7]).toBe(14 + 40 + 80_000)
  const lying = hex(JUMBO.replace('00013880', 'fffffff0'))
  expect(read(lying, 0, lying.length)[7]).toBe(0)
})

test('a total length of 0, as segmentation in the card leaves it, says nothing', () => {
  const frame = hex(
    `020000000002 020000000001 0800 4500 0000 0001 0000 40 06 0000 0a000001 0a000002 ${'00'.repeat(20)}`,
  )
  expect(read(frame, 0, frame.length).slice(2, 5)).toEqual([34, 6, 0])
})

const ADDRESSES = '20010db8000000000000000000000001 20010db8000000000000000000000002'
const MACS = '020000000002 020000000001'
const SOUND = [
  `${MACS} 0800 45000028 00012000 40110000 0a000001 0a000002 c000 12b5 0008 0000`,
  `${MACS} 8100 0064 88a8 0001 0800 4f000028 00010000 40110000 0a000001 0a000002 01010100`,
  `${MACS} 86dd 60000000 0000 00 40 ${ADDRESSES} 1100 c204 00013880 c000 12b5 0008 0000`,
  `${MACS} 86dd 60000000 0020 00 40 ${ADDRESSES} 2c00 010400000000 3300 0001 00000001 1100 010400000000`,
].map(hex)

const anything = fc.oneof(
  fc.uint8Array({ maxLength: 120 }),
  fc
    .tuple(fc.constantFrom(...SOUND), fc.array(fc.tuple(fc.nat(110), fc.nat(255)), { maxLength: 5 }), fc.nat(110))
    .map(([sound, changes, length]) => {
      const bytes = sound.slice(0, length)
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      return bytes
    }),
)

test.each([LINKTYPE_ETHERNET, LINKTYPE_RAW])(
  'link type %i: nothing is read but the bytes that are there',
  (linkType) => {
    fc.assert(
      fc.property(anything, (content) => {
        const alone = read(content, 0, content.length, linkType)
        const [networkAt, , transportAt, , statedEnd, , , length] = alone
        expect(networkAt).toBeLessThanOrEqual(content.length)
        expect(transportAt).toBeLessThanOrEqual(content.length)
        expect(statedEnd).toBeLessThanOrEqual(65_535 + 262_144)
        expect(length).toBe(statedEnd)
        for (const around of [0x00, 0x45, 0x60, 0x81, 0xff]) {
          expect(read(amid(content, around), AMID_OFFSET, content.length, linkType)).toEqual(alone)
        }
      }),
      { numRuns: 5000 },
    )
  },
)
