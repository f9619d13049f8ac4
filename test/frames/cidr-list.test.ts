import { BlockList, SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressBytes, addressText, CidrList } from '../../src/frames/cidr-list.ts'

function contains(networks: readonly string[], address: string): boolean {
  const bytes = addressBytes(address)!
  // The address stands somewhere in a packet, not at the memory's start.
  const packet = new Uint8Array(40).fill(0xff)
  packet.set(bytes, 13)
  return new CidrList(networks).contains(packet, 13, bytes.length)
}

test.each([
  ['10.0.0.0/8', '10.255.0.1', true],
  ['10.0.0.0/8', '11.0.0.1', false],
  ['10.0.0.0/8', '9.255.255.255', false],
  ['192.168.1.7', '192.168.1.7', true],
  ['192.168.1.7', '192.168.1.6', false],
  ['192.168.1.7/32', '192.168.1.7', true],
  ['0.0.0.0/0', '255.255.255.255', true],
  ['172.16.0.0/12', '172.31.255.255', true],
  ['172.16.0.0/12', '172.32.0.0', false],
  ['10.1.2.3/8', '10.9.9.9', true],
  ['2001:db8::/32', '2001:db8:ffff::1', true],
  ['2001:db8::/32', '2001:db9::1', false],
  ['2001:db8::1', '2001:db8::1', true],
  ['2001:db8::1', '2001:db8::2', false],
  ['::/0', 'ffff::', true],
  ['fe80::/10', 'febf::1', true],
  ['fe80::/10', 'fec0::1', false],
  ['2001:db8::8000:0/97', '2001:db8::ffff:ffff', true],
  ['2001:db8::8000:0/97', '2001:db8::7fff:ffff', false],
])('%s contains %s: %s', (network, address, expected) => {
  expect(contains([network], address)).toBe(expected)
})

test('an address may be in any of several networks of both families', () => {
  const networks = ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1']
  expect(['10.1.1.1', '192.0.2.1', '2001:db8::5'].every((address) => contains(networks, address))).toBe(true)
  expect(['11.1.1.1', '192.0.2.2', '2001:db7::5'].some((address) => contains(networks, address))).toBe(false)
})

test('an empty list contains nothing', () => {
  expect(contains([], '10.0.0.1')).toBe(false)
})

describe('IPv4-mapped addresses, which a socket for both families gives', () => {
  test('are judged as IPv4', () => {
    expect(contains(['10.0.0.0/8'], '::ffff:10.1.2.3')).toBe(true)
    expect(contains(['10.0.0.0/8'], '::ffff:11.1.2.3')).toBe(false)
    expect(contains(['::/0'], '::ffff:10.1.2.3')).toBe(false)
  })

  test('mean IPv4 in a list, too', () => {
    expect(contains(['::ffff:10.1.2.3'], '10.1.2.3')).toBe(true)
    expect(contains(['::ffff:10.1.2.3'], '::ffff:10.1.2.3')).toBe(true)
    expect(contains(['::ffff:10.0.0.0/104'], '10.1.2.3')).toBe(true)
    expect(contains(['::ffff:10.0.0.0/104'], '11.1.2.3')).toBe(false)
    expect(contains(['::ffff:0:0/96'], '192.0.2.1')).toBe(true)
  })

  test('are not those that only look similar', () => {
    expect(contains(['10.0.0.0/8'], '::fffe:10.1.2.3')).toBe(false)
    expect(contains(['10.0.0.0/8'], '::1:ffff:10.1.2.3')).toBe(false)
    expect(contains(['10.0.0.0/8'], '::10.1.2.3')).toBe(false)
  })
})

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
// Zeros at random, so that runs of them of every length come up.
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((words) => Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff])))

function plainText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  return Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16)).join(':')
}

test.each([
  ['ipv4', ipv4],
  ['ipv6', ipv6],
] as const)('any prefix of %s contains what a BlockList says it does', (family, address) => {
  const cases = address.chain((network) =>
    fc.record({
      network: fc.constant(network),
      bits: fc.nat(network.length * 8),
      // One bit differs: at the border of the prefix, or anywhere.
      flip: fc.nat(network.length * 8 - 1),
      nearBorder: fc.integer({ min: -1, max: 0 }),
      atBorder: fc.boolean(),
    }),
  )
  fc.assert(
    fc.property(cases, ({ network, bits, flip, nearBorder, atBorder }) => {
      const bit = atBorder ? Math.min(Math.max(bits + nearBorder, 0), network.length * 8 - 1) : flip
      const candidate = network.slice()
      candidate[bit >> 3]! ^= 0x80 >> (bit & 7)
      const judge = new BlockList()
      judge.addSubnet(plainText(network), bits, family)
      const list = new CidrList([`${plainText(network)}/${bits}`])
      for (const bytes of [network, candidate]) {
        if (isMapped(bytes)) continue
        expect(list.contains(bytes, 0, bytes.length)).toBe(judge.check(plainText(bytes), family))
      }
    }),
    { numRuns: 2000 },
  )
})

function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && plainText(bytes).startsWith('0:0:0:0:0:ffff:')
}

test.each([
  '',
  ' ',
  '10.0.0',
  '10.0.0.256',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '10.0.0.0/-1',
  '10.0.0.0/8.5',
  '10.0.0.0/0x8',
  '2001:db8::/129',
  '2001:db8',
  'fe80::1%eth0',
  'localhost',
  '[::1]',
])('"%s" is refused by name', (text) => {
  expect(() => new CidrList(['10.0.0.1', text])).toThrow(RangeError)
  expect(() => new CidrList(['10.0.0.1', text])).toThrow(`"${text}"`)
})

test.each([
  ['10.0.0.1', '0a000001'],
  ['255.255.255.255', 'ffffffff'],
  ['::', '00000000000000000000000000000000'],
  ['::1', '00000000000000000000000000000001'],
  ['1::', '00010000000000000000000000000000'],
  ['2001:DB8:0:0:8:800:200C:417A', '20010db80000000000080800200c417a'],
  ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
  ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
  ['::13.1.68.3', '0000000000000000000000000d014403'],
  ['::ffff:129.144.52.38', '00000000000000000000ffff81903426'],
])('the bytes of %s (RFC 4291 section 2.2)', (text, expected) => {
  expect(Buffer.from(addressBytes(text)!).toString('hex')).toBe(expected)
})

test.each(['', 'a', '1.2.3', '::g', '1:2', 'fe80::1%lo', '::1/128'])('"%s" has no bytes', (text) => {
  expect(addressBytes(text)).toBeUndefined()
})

// RFC 5952 sections 4.2.2, 4.2.3 and 4.3.
test.each([
  ['2001:0db8:0000:0001:0001:0001:0001:0001', '2001:db8:0:1:1:1:1:1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:DB8:AAAA:0:0:0:0:0', '2001:db8:aaaa::'],
])('%s is written %s', (address, text) => {
  expect(addressText(addressBytes(address)!)).toBe(text)
})

test.each([
  ['ipv4', ipv4],
  ['ipv6', ipv6],
] as const)('any %s address is read and written as SocketAddress does it', (family, address) => {
  fc.assert(
    fc.property(address, (bytes) => {
      const long = plainText(bytes)
      expect(addressBytes(long)).toEqual(bytes)
      const judge = new SocketAddress({ address: long, family })
      expect(addressBytes(judge.address)).toEqual(bytes)
      // The C library writes embedded IPv4 addresses with dots; which ones, RFC 5952 section 5 leaves open.
      if (!judge.address.includes('.') || family === 'ipv4') expect(addressText(bytes)).toBe(judge.address)
    }),
    { numRuns: 2000 },
  )
})
