import { expect, test } from 'vitest'
import { DatagramArena, HEADROOM_BYTES } from '../../src/dgram-extended/datagram-arena.ts'

test('every slot takes the longest datagram there can be, with headroom in front, and none reaches into another', () => {
  const slots = 5
  const from = 1000
  const memory = new SharedArrayBuffer(from + DatagramArena.bytesFor(slots))
  const arena = new DatagramArena(memory, from, slots)
  expect(HEADROOM_BYTES).toBeGreaterThanOrEqual(32)
  let end = from
  for (let i = 0; i < slots; i++) {
    expect(arena.start(i) - HEADROOM_BYTES).toBeGreaterThanOrEqual(end)
    end = arena.start(i) + 65535
  }
  expect(end).toBeLessThanOrEqual(memory.byteLength)
})

test('successive slots do not share a cache set: the stride is an odd number of lines', () => {
  const lines = DatagramArena.bytesFor(1) / 64
  expect(lines % 2).toBe(1)
})

test.each([
  ['too little memory', DatagramArena.bytesFor(4) - 1, 0, 4],
  ['too little memory behind the offset', DatagramArena.bytesFor(4), 1, 4],
  ['an offset before the memory', DatagramArena.bytesFor(4), -1, 1],
  ['a broken offset', DatagramArena.bytesFor(4), 0.5, 1],
  ['no slots', 1000, 0, 0],
  ['half a slot', DatagramArena.bytesFor(4), 0, 0.5],
])('%s is refused', (_what, bytes, byteOffset, slots) => {
  expect(() => new DatagramArena(new ArrayBuffer(bytes), byteOffset, slots)).toThrow(RangeError)
})
