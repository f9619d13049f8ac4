import { describe, expect, test } from 'vitest'
import { RebuildStep } from '../../src/pipeline/rebuild.ts'
import { OK, SHORT_FRAME } from '../../src/wire/verdict.ts'
import { batchOf } from './line.ts'

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
