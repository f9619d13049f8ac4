import { describe, expect, test } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { NumberSet } from '../../src/frames/number-set.ts'
import { PEER_DENIED, PEER_OTHER } from '../../src/frames/peer-table.ts'
import { AdmitStep } from '../../src/pipeline/admit.ts'
import { DecapsulateStep } from '../../src/pipeline/decapsulate.ts'
import { RebuildStep } from '../../src/pipeline/rebuild.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_TUNNEL } from '../../src/wire/link-type.ts'
import {
  BAD_FLAGS,
  OK,
  SHORT_FRAME,
  SHORT_HEADER,
  SOURCE_NOT_ALLOWED,
  VNI_NOT_ALLOWED,
} from '../../src/wire/verdict.ts'
import { hex } from '../wire/bytes.ts'
import { fill } from './line.ts'

function batchOf(bytes: string, wireLength?: number): FrameBatch {
  const batch = new FrameBatch(new SharedArrayBuffer(4096), 1)
  fill(batch, [{ bytes: hex(bytes), ...(wireLength !== undefined && { wireLength }) }], LINKTYPE_TUNNEL)
  return batch
}

describe('taking off the tunnel', () => {
  test('moves the start of the row behind the header, and moves no byte', () => {
    const batch = batchOf(`0800000012345600${'ab'.repeat(20)}`, 100)
    const before = batch.bytes.slice()
    expect(new DecapsulateStep({ strict: false }).judge(batch, 0)).toBe(OK)
    expect([batch.offset[0], batch.captured[0], batch.wireLength[0]]).toEqual([8, 20, 92])
    expect([batch.tunnelId[0], batch.linkType[0]]).toEqual([0x123456, LINKTYPE_ETHERNET])
    expect(batch.bytes).toEqual(before)
  })

  test('leaves a row that is refused as it was', () => {
    for (const [bytes, verdict] of [
      ['0000000012345600abab', BAD_FLAGS],
      ['08000000', SHORT_HEADER],
    ] as const) {
      const batch = batchOf(bytes)
      expect(new DecapsulateStep({ strict: false }).judge(batch, 0)).toBe(verdict)
      expect([batch.offset[0], batch.captured[0]]).toEqual([0, bytes.length / 2])
    }
  })

  test('is strict where it is asked to be', () => {
    const bytes = `0800000012345601${'ab'.repeat(20)}`
    expect(new DecapsulateStep({ strict: false }).judge(batchOf(bytes), 0)).toBe(OK)
    expect(new DecapsulateStep({ strict: true }).judge(batchOf(bytes), 0)).toBe(BAD_FLAGS)
  })
})

describe('admission', () => {
  function admit(peer: number, tunnelId: number, wanted: NumberSet | undefined): number {
    const batch = batchOf('00')
    batch.peer[0] = peer
    batch.tunnelId[0] = tunnelId
    return new AdmitStep(wanted).judge(batch, 0)
  }
  const only5 = new NumberSet([{ from: 5, to: 5, deny: false }])

  test('goes by the sender first, then by the identifier', () => {
    expect(admit(PEER_OTHER, 5, undefined)).toBe(OK)
    expect(admit(PEER_OTHER, 5, only5)).toBe(OK)
    expect(admit(PEER_OTHER, 6, only5)).toBe(VNI_NOT_ALLOWED)
    expect(admit(PEER_DENIED, 5, only5)).toBe(SOURCE_NOT_ALLOWED)
    expect(admit(PEER_DENIED, 6, only5)).toBe(SOURCE_NOT_ALLOWED)
    expect(admit(PEER_DENIED, 5, undefined)).toBe(SOURCE_NOT_ALLOWED)
  })
})

describe('rebuilding', () => {
  function rebuild(captured: number, wireLength: number, snapLength: number): [number, number, number] {
    const batch = batchOf('00'.repeat(captured), wireLength)
    const verdict = new RebuildStep(snapLength).judge(batch, 0)
    return [verdict, batch.captured[0]!, batch.wireLength[0]!]
  }

  test('refuses what was shorter than an Ethernet header on the wire', () => {
    expect(rebuild(13, 13, 1000)[0]).toBe(SHORT_FRAME)
    expect(rebuild(0, 0, 1000)[0]).toBe(SHORT_FRAME)
    expect(rebuild(14, 14, 1000)).toEqual([OK, 14, 14])
  })

  test('keeps what a capture has cut to less than a header', () => {
    expect(rebuild(5, 60, 1000)).toEqual([OK, 5, 60])
  })

  test('cuts to the snap length, and keeps the length on the wire', () => {
    expect(rebuild(100, 100, 60)).toEqual([OK, 60, 100])
    expect(rebuild(100, 100, 100)).toEqual([OK, 100, 100])
    expect(rebuild(100, 100, 101)).toEqual([OK, 100, 100])
    expect(rebuild(100, 100, 1)).toEqual([OK, 1, 100])
  })
})
