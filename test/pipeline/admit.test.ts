import { describe, expect, test } from 'vitest'
import { NumberSet } from '../../src/frames/number-set.ts'
import { PEER_DENIED, PEER_OTHER } from '../../src/frames/peer-table.ts'
import { AdmitStep } from '../../src/pipeline/admit.ts'
import { OK, SOURCE_NOT_ALLOWED, VNI_NOT_ALLOWED } from '../../src/wire/verdict.ts'
import { batchOf } from './line.ts'

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
