import { describe, expect, test } from 'vitest'
import { DecapsulateStep } from '../../src/pipeline/decapsulate.ts'
import { NestedTunnels } from '../../src/pipeline/nested.ts'
import { IS_ETHERNET } from '../../src/wire/ether-type.ts'
import { BAD_FLAGS, OK, SHORT_HEADER } from '../../src/wire/verdict.ts'
import { batchOf } from './line.ts'

function decapsulate(strict: boolean): DecapsulateStep {
  return new DecapsulateStep({ strict }, new NestedTunnels(undefined, []))
}

describe('taking off the tunnel', () => {
  test('moves the start of the row behind the header, and moves no byte', () => {
    const batch = batchOf(`0800000012345600${'ab'.repeat(20)}`, 100)
    const before = batch.bytes.slice()
    expect(decapsulate(false).judge(batch, 0)).toBe(OK)
    expect([batch.offset[0], batch.captured[0], batch.wireLength[0]]).toEqual([8, 20, 92])
    expect([batch.tunnelId[0], batch.etherType[0]]).toEqual([0x123456, IS_ETHERNET])
    expect(batch.bytes).toEqual(before)
  })

  test('leaves a row that is refused as it was', () => {
    for (const [bytes, verdict] of [
      ['0000000012345600abab', BAD_FLAGS],
      ['08000000', SHORT_HEADER],
    ] as const) {
      const batch = batchOf(bytes)
      expect(decapsulate(false).judge(batch, 0)).toBe(verdict)
      expect([batch.offset[0], batch.captured[0]]).toEqual([0, bytes.length / 2])
    }
  })

  test('is strict where it is asked to be', () => {
    const bytes = `0800000012345601${'ab'.repeat(20)}`
    expect(decapsulate(false).judge(batchOf(bytes), 0)).toBe(OK)
    expect(decapsulate(true).judge(batchOf(bytes), 0)).toBe(BAD_FLAGS)
  })
})
