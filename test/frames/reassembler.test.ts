import { describe, expect, test } from 'vitest'
import { PIECE_COMPLETED, PIECE_HELD, PIECE_REFUSED, Reassembler } from '../../src/frames/reassembler.ts'
import { Bench, numbered, type PieceSettings } from './pieces.ts'

const WHOLE = numbered(3000)
/** Three pieces, as an MTU of 1500 makes them. */
const CUTS: readonly [number, number][] = [
  [0, 1480],
  [1480, 2960],
  [2960, 3000],
]

function addCut(bench: Bench, cut: number, settings: PieceSettings = {}, whole: Uint8Array = WHOLE): number {
  const [from, to] = CUTS[cut]!
  return bench.add(whole.subarray(from, to), { offset: from, more: cut < 2, ...settings })
}

test.each([[[0, 1, 2]], [[2, 1, 0]], [[1, 0, 2]], [[2, 0, 1]]])(
  'a datagram is whole after its pieces came in the order %j',
  (order) => {
    const bench = new Bench(2)
    expect(order.map((cut) => addCut(bench, cut))).toEqual([PIECE_HELD, PIECE_HELD, PIECE_COMPLETED])
    expect(bench.datagram()).toEqual(WHOLE)
    expect(bench.reassembler.wireLength).toBe(3000)
    expect(bench.counts()).toEqual({ incomplete: 0, reassembled: 2, held: 0 })
  },
)

test('datagrams that come at the same time are kept apart', () => {
  const bench = new Bench(4)
  const other = numbered(3000, 1)
  for (const cut of [0, 1]) {
    addCut(bench, cut, { id: 1 })
    addCut(bench, cut, { id: 2 }, other)
  }
  expect(bench.counts().held).toBe(4)
  expect(addCut(bench, 2, { id: 2 }, other)).toBe(PIECE_COMPLETED)
  expect(bench.datagram()).toEqual(other)
  expect(addCut(bench, 2, { id: 1 })).toBe(PIECE_COMPLETED)
  expect(bench.datagram()).toEqual(WHOLE)
})

test.each<[string, PieceSettings]>([
  ['identification', { id: 2 }],
  ['an identification that differs above 16 bits', { id: 0x10001 }],
  ['protocol', { protocol: 6 }],
  ['addresses', { source: 2 }],
  ['IP version', { addressBytes: 16 }],
])('pieces with another %s belong to another datagram', (_name, settings) => {
  const bench = new Bench(4)
  addCut(bench, 0)
  addCut(bench, 1)
  expect(addCut(bench, 2, settings)).toBe(PIECE_HELD)
  expect(addCut(bench, 2)).toBe(PIECE_COMPLETED)
  expect(bench.counts()).toEqual({ incomplete: 0, reassembled: 2, held: 1 })
})

test('datagrams whose keys have the same FNV-1a hash are kept apart', () => {
  const bench = new Bench(4)
  const collides: PieceSettings = { source: 6, id: 15_617 }
  addCut(bench, 0, { source: 10, id: 137 })
  addCut(bench, 1, { source: 10, id: 137 })
  expect(addCut(bench, 2, collides)).toBe(PIECE_HELD)
  expect(addCut(bench, 2, { source: 10, id: 137 })).toBe(PIECE_COMPLETED)
})

test('IPv6 pieces are told apart by every byte of their addresses', () => {
  const bench = new Bench(2)
  addCut(bench, 0, { addressBytes: 16 })
  addCut(bench, 1, { addressBytes: 16 })
  expect(addCut(bench, 2, { addressBytes: 16, source: 3 })).toBe(PIECE_HELD)
  expect(addCut(bench, 2, { addressBytes: 16 })).toBe(PIECE_COMPLETED)
  expect(bench.datagram()).toEqual(WHOLE)
})

test('the largest datagram that IP can have is put together', () => {
  const bench = new Bench(2)
  const largest = numbered(65_535)
  expect(bench.add(largest.subarray(32_768), { offset: 32_768 })).toBe(PIECE_HELD)
  expect(bench.add(largest.subarray(0, 32_768), { more: true })).toBe(PIECE_COMPLETED)
  expect(bench.datagram()).toEqual(largest)
})

test('pieces that come twice, as from two capture points, change nothing', () => {
  const bench = new Bench(2)
  const payload = numbered(40)
  for (const part of [{ more: true }, { offset: 32 }]) {
    const bytes = 'offset' in part ? payload.subarray(32) : payload.subarray(0, 16)
    expect(bench.add(bytes, part)).toBe(PIECE_HELD)
    expect(bench.add(bytes.slice().fill(0xee), part)).toBe(PIECE_HELD)
  }
  expect(bench.add(payload.subarray(16, 32), { offset: 16, more: true })).toBe(PIECE_COMPLETED)
  expect(bench.datagram()).toEqual(payload)
  expect(bench.counts()).toEqual({ incomplete: 0, reassembled: 4, held: 0 })
})

describe('a piece that cannot be is refused, and all of its datagram with it (RFC 5722)', () => {
  test.each<[string, number, PieceSettings, PieceSettings]>([
    ['overlaps the end of another', 16, { more: true }, { offset: 8, more: true }],
    ['overlaps the start of another', 16, { offset: 8, more: true }, { offset: 0, more: true }],
    ['a second last piece', 16, { offset: 32 }, { offset: 16 }],
    ['goes on behind the last piece', 16, { offset: 16 }, { offset: 32, more: true }],
    ['a last piece in front of another', 16, { offset: 32, more: true }, { offset: 0 }],
  ])('%s', (_name, length, first, second) => {
    const bench = new Bench(2)
    const payload = numbered(length)
    expect(bench.add(payload, first)).toBe(PIECE_HELD)
    expect(bench.add(payload, second)).toBe(PIECE_REFUSED)
    expect(bench.counts()).toEqual({ incomplete: 2, reassembled: 0, held: 0 })
  })

  test.each<[string, number, PieceSettings]>([
    ['no payload', 0, { more: true }],
    ['no payload in the last piece', 0, { offset: 8 }],
    ['an odd length with more to come', 15, { more: true }],
    ['an end beyond 64 KiB', 16, { offset: 65_528 }],
    ['a length beyond 64 KiB', 70_000, {}],
  ])('%s', (_name, length, settings) => {
    const bench = new Bench(2)
    expect(bench.add(numbered(length), settings)).toBe(PIECE_REFUSED)
    expect(bench.counts()).toEqual({ incomplete: 1, reassembled: 0, held: 0 })
  })

  test('the same datagram, sent again, is put together', () => {
    const bench = new Bench(1)
    addCut(bench, 2)
    expect(bench.add(numbered(16), { offset: 8192, more: true })).toBe(PIECE_REFUSED)
    expect([0, 1, 2].map((cut) => addCut(bench, cut)).at(-1)).toBe(PIECE_COMPLETED)
    expect(bench.datagram()).toEqual(WHOLE)
  })
})

describe('pieces that a capture has cut', () => {
  test('give a datagram up to the first byte that is missing, with its length on the wire', () => {
    const bench = new Bench(2)
    addCut(bench, 0, { captured: 1480 })
    addCut(bench, 1, { captured: 100 })
    expect(addCut(bench, 2)).toBe(PIECE_COMPLETED)
    expect(bench.datagram()).toEqual(WHOLE.subarray(0, 1580))
    expect(bench.reassembler.wireLength).toBe(3000)
  })

  test('are cut where the first of them is, in whatever order they come', () => {
    const bench = new Bench(2)
    addCut(bench, 2, { captured: 4 })
    addCut(bench, 1, { captured: 0 })
    expect(addCut(bench, 0, { captured: 7 })).toBe(PIECE_COMPLETED)
    expect(bench.datagram()).toEqual(WHOLE.subarray(0, 7))
  })

  test('leave no mark on the next datagram in the same memory', () => {
    const bench = new Bench(1)
    for (const cut of [0, 1, 2]) addCut(bench, cut, { captured: 3 })
    bench.reassembler.endBatch()
    expect([0, 1, 2].map((cut) => addCut(bench, cut)).at(-1)).toBe(PIECE_COMPLETED)
    expect(bench.datagram()).toEqual(WHOLE)
  })
})

describe('memory is bounded', () => {
  test('the oldest datagram gives way when all slots are taken', () => {
    const bench = new Bench(3)
    const seconds = [1002, 1000, 1001, 1003]
    for (const [i, second] of seconds.entries()) addCut(bench, 0, { id: i, seconds: second })
    expect(bench.counts()).toEqual({ incomplete: 1, reassembled: 0, held: 3 })
    for (const i of [0, 2, 3]) {
      addCut(bench, 1, { id: i, seconds: 1003 })
      expect([i, addCut(bench, 2, { id: i, seconds: 1003 })]).toEqual([i, PIECE_COMPLETED])
      bench.reassembler.endBatch()
    }
    expect(addCut(bench, 1, { id: 1, seconds: 1003 })).toBe(PIECE_HELD)
  })

  test('a flood of first pieces holds as many as there are slots, and counts the others', () => {
    const bench = new Bench(8)
    for (let id = 0; id < 1000; id++) addCut(bench, 0, { id })
    expect(bench.counts()).toEqual({ incomplete: 992, reassembled: 0, held: 8 })
  })

  test('a completed datagram stays valid until its batch ends, whatever else comes', () => {
    const bench = new Bench(3)
    for (const cut of [0, 1, 2]) addCut(bench, cut)
    const { start, captured } = bench.reassembler
    for (let id = 10; id < 100; id++) addCut(bench, 0, { id }, numbered(3000, id))
    expect(bench.bytes.slice(start, start + captured)).toEqual(WHOLE)
    bench.reassembler.endBatch()
    expect(bench.counts().held).toBe(2)
    addCut(bench, 0, { id: 200 })
    expect(bench.counts().held).toBe(3)
  })

  test('nothing is written outside of the memory that bytesFor asks for', () => {
    const bytes = new Uint8Array(200_000 + Reassembler.bytesFor(1) + 1000).fill(0xa5)
    const reassembler = new Reassembler(bytes, 200_000, 1)
    bytes.fill(1, 0, 65_535)
    const piece = { sourceAt: 0, addressBytes: 4, protocol: 17, fragmentId: 1, fragmentOffset: 0, moreFragments: false }
    expect(reassembler.add(piece, 0, 65_535, 65_535, 0)).toBe(PIECE_COMPLETED)
    expect(bytes.subarray(65_535, 200_000).every((byte) => byte === 0xa5)).toBe(true)
    expect(bytes.subarray(200_000 + Reassembler.bytesFor(1)).every((byte) => byte === 0xa5)).toBe(true)
  })
})

describe('time', () => {
  test('pieces that come within 30 seconds belong together', () => {
    const bench = new Bench(2)
    addCut(bench, 0, { seconds: 1000 })
    addCut(bench, 1, { seconds: 1015 })
    expect(addCut(bench, 2, { seconds: 1030 })).toBe(PIECE_COMPLETED)
  })

  test('later ones begin a datagram of their own, and the earlier are given up', () => {
    const bench = new Bench(2)
    addCut(bench, 0, { seconds: 1000 })
    addCut(bench, 1, { seconds: 1000 })
    expect(addCut(bench, 2, { seconds: 1031 })).toBe(PIECE_HELD)
    expect(bench.counts()).toEqual({ incomplete: 2, reassembled: 0, held: 1 })
  })

  test('a clock that is set back loses nothing', () => {
    const bench = new Bench(2)
    addCut(bench, 0, { seconds: 5000 })
    addCut(bench, 1, { seconds: 1 })
    expect(addCut(bench, 2, { seconds: 5000 })).toBe(PIECE_COMPLETED)
  })
})

test('when no more pieces come, those that wait are given up, once', () => {
  const bench = new Bench(4)
  for (const id of [1, 2, 3]) for (const cut of [0, 1]) addCut(bench, cut, { id })
  bench.reassembler.close()
  bench.reassembler.close()
  expect(bench.counts()).toEqual({ incomplete: 6, reassembled: 0, held: 0 })
})
