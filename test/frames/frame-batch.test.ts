import { expect, test } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'

/** Every column, found by its kind: a column that is added later is among them. */
function columns(batch: FrameBatch): Map<string, Uint8Array | Uint16Array | Uint32Array> {
  const entries = Object.entries(batch).filter(([, value]) => ArrayBuffer.isView(value) && !(value instanceof DataView))
  return new Map(entries.filter(([name]) => name !== 'bytes') as [string, Uint32Array][])
}

test('a row that is moved takes every column along, and the others stay', () => {
  const batch = new FrameBatch(new SharedArrayBuffer(64), 4)
  const all = columns(batch)
  expect(all.size).toBe(10)
  let value = 1
  for (const column of all.values()) for (let row = 0; row < 4; row++) column[row] = value++
  const before = new Map([...all].map(([name, column]) => [name, [...column]]))
  batch.moveRow(3, 1)
  for (const [name, column] of all) {
    const [first, , third, fourth] = before.get(name)!
    expect([name, ...column]).toEqual([name, first, fourth, third, fourth])
  }
})

test('bytes and view show the memory that the batch was given', () => {
  const memory = new SharedArrayBuffer(64)
  const batch = new FrameBatch(memory, 4)
  new Uint8Array(memory).set([0xde, 0xad, 0xbe, 0xef], 5)
  expect(batch.view.getUint32(5)).toBe(0xdeadbeef)
  expect(batch.bytes[8]).toBe(0xef)
  expect([batch.count, batch.capacity]).toEqual([0, 4])
})
