import { createSocket, type Socket } from 'node:dgram'
import { afterEach, expect, vi } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { sourceType } from '../../src/sources/registry.ts'
import type { Source, SourcePlan } from '../../src/sources/source.ts'
import { requires } from '../support/requirements.ts'

// Only root may have the buffer without which the source never naps.
const it = requires('linux', 'root')
const FULL_BATCHES = 4

let sender: Socket | undefined
let source: Source | undefined
afterEach(async () => {
  vi.restoreAllMocks()
  sender?.close()
  await source?.close()
})

async function send(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    sender!.send('x', port, '127.0.0.1', (error) => (error ? reject(error) : resolve()))
  })
}

it('datagrams are let gather when all sockets are empty, and not while one of them is full', async () => {
  const type = sourceType('udp')
  const listeners = [0, 1].map(() => ({ encapsulation: 0, host: '127.0.0.1', port: 0 }))
  const plan: SourcePlan = { engine: 'udp', listeners, buffer: 32 << 20 }
  const batch = new FrameBatch(new SharedArrayBuffer(type.slabBytes(plan)), type.batchRows)
  const memory = batch.bytes.buffer
  const context = { memory, byteOffset: 0, byteLength: memory.byteLength, peers: undefined, say: () => {} }
  source = await type.open(plan, context)
  const [quiet = 0, busy = 0] = source.description.map((text) => Number(/:(\d+) /.exec(text)![1]))
  sender = createSocket('udp4')
  for (let i = 0; i < FULL_BATCHES * type.batchRows; i++) await send(busy)
  const naps = vi.spyOn(Atomics, 'wait')
  const counts: unknown[] = []
  for (let turn = 0; turn < FULL_BATCHES; turn++) {
    await send(quiet)
    counts.push(await source.receive(batch, batch.capacity, 50), await source.receive(batch, batch.capacity, 50))
  }
  expect(counts).toEqual(Array.from({ length: FULL_BATCHES }, () => [1, type.batchRows]).flat())
  expect(naps).not.toHaveBeenCalled()
  // Both are empty behind these.
  await send(quiet)
  await send(busy)
  for (let turn = 0; turn < 2; turn++) expect(await source.receive(batch, batch.capacity, 50)).toBe(1)
  expect(naps).not.toHaveBeenCalled()
  expect(await source.receive(batch, batch.capacity, 0)).toBe(0)
  await send(busy)
  expect(await source.receive(batch, batch.capacity, 50)).toBe(1)
  await send(quiet)
  expect(await source.receive(batch, batch.capacity, 50)).toBe(1)
  expect(naps).toHaveBeenCalled()
})
