import { expect, test } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { type RebuildOptions, RebuildStep } from '../../src/pipeline/rebuild.ts'
import { PipelineCounters } from '../../src/telemetry/counters.ts'
import { ETHERTYPE_IPV6 } from '../../src/wire/ether-type.ts'
import { OK, SHORT_FRAME } from '../../src/wire/verdict.ts'

const ZEROES: RebuildOptions = { ethernetAddresses: new Uint8Array(12), fcs: 'keep' }

function batchWith(etherType: number, captured: number, wireLength: number): FrameBatch {
  const batch = new FrameBatch(new ArrayBuffer(256), 1)
  batch.bytes.fill(0xee)
  batch.offset[0] = 100
  batch.captured[0] = captured
  batch.wireLength[0] = wireLength
  batch.etherType[0] = etherType
  return batch
}

test('a payload without an Ethernet header gets one in place, over what is in front of it', () => {
  const batch = batchWith(ETHERTYPE_IPV6, 40, 60)
  expect(new RebuildStep(ZEROES, [], undefined, new PipelineCounters()).judge(batch, 0)).toBe(OK)
  expect([batch.offset[0], batch.captured[0], batch.wireLength[0]]).toEqual([86, 54, 74])
  expect(Buffer.from(batch.bytes.subarray(85, 101)).toString('hex')).toBe(`ee${'00'.repeat(12)}86ddee`)
})

test('an Ethernet frame stays as it is', () => {
  const batch = batchWith(0, 13, 13)
  expect(new RebuildStep(ZEROES, [], undefined, new PipelineCounters()).judge(batch, 0)).toBe(SHORT_FRAME)
  expect([batch.offset[0], batch.bytes[99]]).toEqual([100, 0xee])
})

test('the header has the addresses that were asked for', () => {
  const batch = batchWith(ETHERTYPE_IPV6, 40, 60)
  const options = { ...ZEROES, ethernetAddresses: Uint8Array.from({ length: 12 }, (_, i) => i + 1) }
  expect(new RebuildStep(options, [], undefined, new PipelineCounters()).judge(batch, 0)).toBe(OK)
  expect(Buffer.from(batch.bytes.subarray(86, 100)).toString('hex')).toBe('0102030405060708090a0b0c86dd')
})

test('a packet of no bytes is no frame', () => {
  expect(new RebuildStep(ZEROES, [], undefined, new PipelineCounters()).judge(batchWith(ETHERTYPE_IPV6, 0, 0), 0)).toBe(
    SHORT_FRAME,
  )
})
