import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressBytes, CidrList } from '../../src/frames/cidr-list.ts'
import { PEER_DENIED, PEER_OTHER, PeerTable } from '../../src/frames/peer-table.ts'

function indexOf(table: PeerTable, address: string): number {
  const bytes = addressBytes(address)!
  const packet = new Uint8Array(40).fill(0xa5)
  packet.set(bytes, 9)
  return table.indexOf(packet, 9, bytes.length)
}

test('every peer has a number of its own and keeps it', () => {
  const table = new PeerTable(100, undefined)
  const addresses = ['10.0.0.1', '10.0.0.2', '2001:db8::1', '::1', '0.0.0.0', '::', '255.255.255.255']
  const numbers = addresses.map((address) => indexOf(table, address))
  expect(new Set(numbers).size).toBe(addresses.length)
  expect(numbers).not.toContain(PEER_OTHER)
  expect(numbers).not.toContain(PEER_DENIED)
  for (let round = 0; round < 3; round++) {
    expect(addresses.map((address) => indexOf(table, address))).toEqual(numbers)
  }
  expect(table.size).toBe(addresses.length)
  expect(numbers.map((number) => table.text(number))).toEqual(addresses)
})

test('an IPv4 peer and its IPv4-mapped IPv6 address are one', () => {
  const table = new PeerTable(10, undefined)
  const number = indexOf(table, '10.1.2.3')
  expect(indexOf(table, '::ffff:10.1.2.3')).toBe(number)
  expect(table.text(number)).toBe('10.1.2.3')
  expect(indexOf(table, '::10.1.2.3')).not.toBe(number)
})

test('an IPv6 address that only looks IPv4-mapped is written as it is', () => {
  const table = new PeerTable(10, undefined)
  expect(table.text(indexOf(table, '0:0:1:2:0:ffff:a01:203'))).toBe('::1:2:0:ffff:a01:203')
})

describe('a full table', () => {
  const table = new PeerTable(50, undefined)
  const numbers = Array.from({ length: 50 }, (_, i) => indexOf(table, `10.0.0.${i}`))

  test('knows its peers still', () => {
    for (let i = 0; i < 1000; i++) expect(indexOf(table, `192.0.${i >> 8}.${i & 255}`)).toBe(PEER_OTHER)
    expect(Array.from({ length: 50 }, (_, i) => indexOf(table, `10.0.0.${i}`))).toEqual(numbers)
    expect(table.size).toBe(50)
  })
})

describe('with networks that tunnels may come from', () => {
  test('others are denied, and take up no room', () => {
    const table = new PeerTable(2, new CidrList(['10.0.0.0/8']))
    for (let i = 0; i < 1000; i++) expect(indexOf(table, `192.0.${i >> 8}.${i & 255}`)).toBe(PEER_DENIED)
    expect(table.size).toBe(0)
    expect(indexOf(table, '10.0.0.1')).toBeGreaterThan(PEER_DENIED)
    expect(indexOf(table, '2001:db8::1')).toBe(PEER_DENIED)
    expect(indexOf(table, '10.0.0.2')).toBeGreaterThan(PEER_DENIED)
  })

  test('a full table denies and admits by the address alone', () => {
    const table = new PeerTable(1, new CidrList(['10.0.0.0/8']))
    const first = indexOf(table, '10.0.0.1')
    expect(indexOf(table, '10.0.0.2')).toBe(PEER_OTHER)
    expect(indexOf(table, '11.0.0.2')).toBe(PEER_DENIED)
    expect(indexOf(table, '10.0.0.2')).toBe(PEER_OTHER)
    expect(indexOf(table, '10.0.0.1')).toBe(first)
  })
})

test('a table made on the memory of another goes on with its numbers, and lets in whom it does itself', () => {
  const memory = new SharedArrayBuffer(PeerTable.bytesFor(10))
  const first = new PeerTable(10, undefined, memory)
  const addresses = ['10.0.0.1', '::', '2001:db8::1', '10.0.0.2']
  const numbers = addresses.map((address) => indexOf(first, address))
  const second = new PeerTable(10, undefined, memory)
  expect([...addresses].reverse().map((address) => indexOf(second, address))).toEqual([...numbers].reverse())
  expect([second.size, numbers.includes(indexOf(second, '10.0.0.3'))]).toEqual([4, false])
  const third = new PeerTable(10, new CidrList(['10.0.0.0/8']), memory)
  expect(['10.0.0.3', '2001:db8::1'].map((address) => indexOf(third, address))).toEqual([6, PEER_DENIED])
  expect(PeerTable.reader(memory).text(6)).toBe('10.0.0.3')
})

test('the two numbers that stand for many say so', () => {
  const table = new PeerTable(1, undefined)
  expect([table.text(PEER_OTHER), table.text(PEER_DENIED)]).toEqual(['other', 'denied'])
})

test('a million forged sources cost a fixed table and find it quick', () => {
  const table = new PeerTable(16_384, undefined)
  const bytes = new Uint8Array(4)
  const view = new DataView(bytes.buffer)
  const started = performance.now()
  for (let i = 0; i < 1_000_000; i++) {
    view.setUint32(0, Math.imul(i, 0x9e3779b1))
    table.indexOf(bytes, 0, 4)
  }
  expect(performance.now() - started).toBeLessThan(3000)
  expect(table.size).toBe(16_384)
})

test('any sequence of addresses gets the numbers that a Map would give', () => {
  const address = fc.oneof(
    fc.nat(30).map((i) => `10.0.0.${i}`),
    fc.nat(30).map((i) => `2001:db8::${i.toString(16)}`),
  )
  fc.assert(
    fc.property(fc.array(address, { maxLength: 200 }), fc.integer({ min: 1, max: 20 }), (addresses, capacity) => {
      const table = new PeerTable(capacity, undefined)
      const model = new Map<string, number>()
      for (const each of addresses) {
        const number = indexOf(table, each)
        if (!model.has(each) && model.size < capacity) {
          expect([...model.values(), PEER_OTHER, PEER_DENIED]).not.toContain(number)
          model.set(each, number)
        }
        expect(number).toBe(model.get(each) ?? PEER_OTHER)
      }
      expect(table.size).toBe(model.size)
    }),
    { numRuns: 300 },
  )
})

test('who is let in changes at once, also for the peer just seen, and numbers stay', () => {
  const table = new PeerTable(4, new CidrList(['10.0.0.0/8', '2001:db8::/32']))
  const addresses = ['10.0.0.1', '2001:db8::1', '192.168.0.1']
  const [v4, v6, other] = addresses.map((address) => indexOf(table, address))
  expect(other).toBe(PEER_DENIED)
  table.allow(new CidrList(['192.168.0.0/16', '2001:db8::1']))
  const then = addresses.map((address) => indexOf(table, address))
  expect(then.slice(0, 2)).toEqual([PEER_DENIED, v6])
  expect(then[2]).toBeGreaterThan(Math.max(v4!, v6!))
  table.allow(undefined)
  expect(addresses.map((address) => indexOf(table, address))).toEqual([v4, v6, then[2]])
  table.allow(new CidrList(['10.0.0.1']))
  expect(addresses.map((address) => indexOf(table, address))).toEqual([v4, PEER_DENIED, PEER_DENIED])
  expect(indexOf(table, '10.0.0.1')).toBe(v4)
  expect(table.size).toBe(3)
})

test('keeps the IPv4 senders of late, two in a place, for the loop that looks there', () => {
  const table = new PeerTable(10, new CidrList(['10.0.0.0/8']))
  const key = (address: number[]): number => Buffer.from(address).readUInt32BE()
  const number = (address: number[]): number => table.indexOf(Uint8Array.from(address), 0, 4)
  // All with the same 13 bits of the hash.
  const place = (address: number[]): number => Math.imul(key(address), 0x9e3779b1) >>> 19
  const alike: number[][] = []
  for (let i = 0; alike.length < 3; i++) {
    const address = [10, i >> 16, (i >> 8) & 255, i & 255]
    if (place(address) === place([10, 0, 0, 0])) alike.push(address)
  }
  const first = 2 * place(alike[0]!)
  const kept = (): number[][] => [0, 1].map((i) => [table.recentKeys[first + i]!, table.recentPeers[first + i]!])
  const numbers = alike.map(number)
  expect(numbers).toEqual([2, 3, 4])
  expect(kept()).toEqual([
    [key(alike[2]!), 4],
    [key(alike[1]!), 3],
  ])
  expect(number(alike[1]!)).toBe(3)
  expect(kept()[0]).toEqual([key(alike[2]!), 4])
  expect(number(alike[0]!)).toBe(2)
  expect(kept()[0]).toEqual([key(alike[0]!), 2])
  // Whoever finds the table full pushes nobody out.
  const full = new PeerTable(1, undefined)
  full.indexOf(Uint8Array.from(alike[0]!), 0, 4)
  for (let i = 0; i < 3; i++) expect(full.indexOf(Uint8Array.from(alike[1]!), 0, 4)).toBe(PEER_OTHER)
  expect([full.recentKeys[first], full.recentPeers[first]]).toEqual([key(alike[0]!), 2])
  table.allow(new CidrList(['192.168.0.0/16']))
  expect(kept().map(([, peer]) => peer)).toEqual([0, 0])
  expect(number(alike[0]!)).toBe(PEER_DENIED)
})
