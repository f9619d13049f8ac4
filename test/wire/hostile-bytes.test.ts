import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { IpHeader } from '../../src/wire/ip.ts'
import { LinkHeader } from '../../src/wire/link.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL, LINKTYPE_RAW } from '../../src/wire/link-type.ts'
import { ENCAPSULATIONS } from '../../src/wire/registry.ts'
import { UdpHeader } from '../../src/wire/udp.ts'
import { OK, VERDICTS } from '../../src/wire/verdict.ts'
import { AMID_OFFSET, amid, hex } from './bytes.ts'

const RUNS = 3000

/** What a reader says of bytes: its verdict, and its fields if the verdict is OK. */
type Reader = (bytes: Uint8Array, offset: number, captured: number) => unknown[]

/** Random bytes, and sound headers with some bytes changed and an end cut off, which get further into a reader. */
function nearly(...sound: string[]): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(100), fc.nat(255))
  const changed = fc
    .tuple(fc.constantFrom(...sound.map(hex)), fc.array(change, { maxLength: 4 }), fc.nat(100))
    .map(([header, changes, length]) => {
      const bytes = header.slice(0, length)
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      return bytes
    })
  return fc.oneof(fc.uint8Array({ maxLength: 100 }), changed, changed)
}

/** Reads the same content amid different bytes, and alone in its memory. */
function readsOnlyItsOwn(reader: Reader, content: Uint8Array): void {
  const alone = reader(content, 0, content.length)
  expect(VERDICTS[alone[0] as number]).toBeDefined()
  for (const around of [0x00, 0x45, 0x60, 0x81, 0xff]) {
    expect(reader(amid(content, around), AMID_OFFSET, content.length)).toEqual(alone)
  }
}

function check(reader: Reader, contents: fc.Arbitrary<Uint8Array>): void {
  fc.assert(
    fc.property(contents, (content) => readsOnlyItsOwn(reader, content)),
    { numRuns: RUNS },
  )
}

/** Sound headers, for an encapsulation that has some listed here. */
const SOUND: Readonly<Record<string, readonly string[]>> = {
  vxlan: ['0800 0000 1234 5600 ffff', '8848 0001 ffff ff00 ffff'],
  'vxlan-gpe': ['0c00 0003 1234 5600 ffff', '0c00 0001 1234 5600 45'],
  geneve: ['0000 6558 1234 5600 ffff', '0240 0800 1234 5600 0108 0101 0000 0001 45'],
  gre: ['0000 6558 ffff', '3000 6558 0000 0064 0000 0001 ffff', '1000 88be 0000 0001 1001 0064 0000 0000 ffff'],
  'gre-in-udp': ['2000 86dd 0000 0064 60', '1000 22eb 0000 0001 2001 0064 0000 0000 0000 0001 00'],
  'hp-erm': ['0000000000000000 00 4064 80 ffff'],
  tzsp: ['0100 0001 0a01 ff 00 01 ffff'],
}

const decapsulators = ENCAPSULATIONS.flatMap((encapsulation) =>
  [false, true].map((strict) => ({ name: encapsulation.name, strict, encapsulation })),
)

describe.each(decapsulators)('$name, strict: $strict', ({ name, strict, encapsulation }) => {
  const decapsulator = encapsulation.create({ strict })
  const read: Reader = (bytes, offset, captured) => {
    const verdict = decapsulator.decode(bytes, offset, captured, captured)
    const { tunnelId, headerBytes, etherType } = decapsulator
    return verdict === OK ? [verdict, tunnelId, headerBytes, etherType] : [verdict]
  }

  test('whatever comes gets a verdict that depends on nothing but its own bytes', () => {
    check(read, nearly(...(SOUND[name] ?? ['00'])))
  })

  test('the inner frame never starts behind the bytes that are there', () => {
    fc.assert(
      fc.property(nearly(...(SOUND[name] ?? ['00'])), (content) => {
        if (decapsulator.decode(content, 0, content.length, content.length) !== OK) return
        expect(decapsulator.headerBytes).toBeLessThanOrEqual(content.length)
        expect(decapsulator.tunnelId).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: RUNS },
    )
  })
})

const MACS = '020000000002020000000001'
const linkHeaders = nearly(
  `${MACS} 8100 0064 0800 4500`,
  `${MACS} 88a8 0064 8100 0001 86dd 6000`,
  `8100 0000 00000002 0001 00 06 020000000001 0000 0064 0800`,
  '02000000 45',
)

test.each([LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL2, LINKTYPE_NULL, LINKTYPE_RAW])(
  'link type %i: whatever comes gets a verdict that depends on nothing but its own bytes',
  (linkType) => {
    check((bytes, offset, captured) => {
      const link = new LinkHeader()
      const verdict = link.decode(bytes, offset, captured, linkType)
      return verdict === OK ? [verdict, link.headerBytes, link.etherType] : [verdict]
    }, linkHeaders)
  },
)

const ADDRESSES = '20010db8000000000000000000000001 20010db8000000000000000000000002'
const ipHeaders = nearly(
  '45000028 00012000 40110000 0a000001 0a000002 c000 12b5 0008 0000',
  '46000028 00010000 40110000 0a000001 0a000002 01010100 c000 12b5 0008 0000',
  `60000000 0010 00 40 ${ADDRESSES} 1100 010400000000 c000 12b5 0008 0000`,
  `60000000 0020 00 40 ${ADDRESSES} 2c00 010400000000 3c00 0001 00000001 1100 010400000000`,
)

test.each([0x0800, 0x86dd])('EtherType %i: an IP header gets a verdict from nothing but its own bytes', (etherType) => {
  for (const wireLength of [0, 60, 70_000]) {
    check((bytes, offset, captured) => {
      const ip = new IpHeader()
      const verdict = ip.decode(bytes, offset, captured, wireLength, etherType)
      if (verdict !== OK) return [verdict]
      expect(ip.headerBytes).toBeLessThanOrEqual(captured)
      expect(ip.payloadWireLength).toBeGreaterThanOrEqual(0)
      expect(ip.sourceAt + 2 * ip.addressBytes).toBeLessThanOrEqual(offset + captured)
      return [verdict, ip.headerBytes, ip.payloadWireLength, ip.protocol, ip.sourceAt - offset, ...fragmentOf(ip)]
    }, ipHeaders)
  }
})

function fragmentOf(ip: IpHeader): unknown[] {
  return ip.isFragment ? [ip.fragmentId, ip.fragmentOffset, ip.moreFragments] : [false]
}

test('a UDP header gets a verdict from nothing but its own bytes', () => {
  for (const wireLength of [0, 8, 40, 70_000]) {
    check(
      (bytes, offset, captured) => {
        const udp = new UdpHeader()
        const verdict = udp.decode(bytes, offset, captured, wireLength)
        if (verdict !== OK) return [verdict]
        expect(udp.payloadWireLength).toBeLessThanOrEqual(wireLength - 8)
        return [verdict, udp.destinationPort, udp.payloadWireLength]
      },
      nearly('c000 12b5 0020 0000 0800', 'c000 12b5 0000 0000 0800'),
    )
  }
})
