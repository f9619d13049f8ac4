import { expect, it } from 'vitest'
import { ColumnRoom } from '../../src/frames/column-room.ts'

it('hands out zeroes in its part of the memory, each array on a cache line of its own', () => {
  const memory = new SharedArrayBuffer(1024)
  new Uint8Array(memory).fill(0xa5)
  const room = new ColumnRoom(memory, 128, 256)
  const arrays = [room.uint8(3), room.uint16(5), room.int16(1), room.uint32(16)]
  expect(arrays.map(({ byteOffset, byteLength }) => [byteOffset, byteLength])).toEqual([
    [128, 3],
    [192, 10],
    [256, 2],
    [320, 64],
  ])
  for (const array of arrays) expect([...array].every((value) => value === 0)).toBe(true)
  expect(new Uint8Array(memory)[131]).toBe(0xa5)
})

it('throws where it is full', () => {
  const room = new ColumnRoom(new SharedArrayBuffer(1024), 0, 128)
  room.uint8(65)
  expect(() => room.uint8(1)).toThrow(RangeError)
})

it('without a memory gives each array its own', () => {
  const room = new ColumnRoom()
  const [one, other] = [room.uint32(4), room.uint32(4)]
  expect([one.length, one.byteOffset, one.buffer === other.buffer]).toEqual([4, 0, false])
})
