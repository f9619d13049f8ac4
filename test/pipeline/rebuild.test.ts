import { describe, expect, test } from 'vitest'
import { type RebuildOptions, RebuildStep } from '../../src/pipeline/rebuild.ts'
import { PipelineCounters } from '../../src/telemetry/counters.ts'
import { OK, SHORT_FRAME } from '../../src/wire/verdict.ts'
import { hex } from '../wire/bytes.ts'
import { batchOf } from './line.ts'

const ETHERNET: RebuildOptions = { ethernetAddresses: new Uint8Array(12), fcs: 'keep' }

function rebuild(frame: string, wireLength: number): [number, number, number, number] {
  const batch = batchOf(frame, wireLength)
  const counters = new PipelineCounters()
  const verdict = new RebuildStep(ETHERNET, [], undefined, counters).judge(batch, 0)
  return [verdict, batch.captured[0]!, batch.wireLength[0]!, counters.cutAtSource]
}

describe('rebuilding', () => {
  test('refuses what was shorter than an Ethernet header on the wire', () => {
    expect(rebuild('00'.repeat(13), 13)[0]).toBe(SHORT_FRAME)
    expect(rebuild('', 0)[0]).toBe(SHORT_FRAME)
    expect(rebuild('00'.repeat(14), 14)).toEqual([OK, 14, 14, 0])
  })

  test('keeps what a capture has cut to less than a header', () => {
    expect(rebuild('00'.repeat(5), 60)).toEqual([OK, 5, 60, 0])
  })
})

/** An Ethernet frame with an IPv4 packet of 228 bytes, and one with an IPv6 packet of 228 bytes in a VLAN. */
const MACS = '020000000002020000000001'
const IPV4 = `${MACS}0800450000e400010000401100000a0000010a000002`
const IPV6 = `${MACS}8100006486dd6000000000bc1140`

describe('the length that a frame had before its mirror cut it', () => {
  test.each([
    ['IPv4', IPV4, 40, 242],
    ['IPv4 in the first bytes that tell', IPV4, 20, 242],
    ['IPv6 in a VLAN', IPV6, 26, 246],
    ['not told, as its bytes were cut off', IPV6, 23, 23],
  ])('%s', (_, frame, captured, wireLength) => {
    const bytes = frame.slice(0, 2 * captured)
    const arrived = hex(bytes).length
    expect(rebuild(bytes, arrived)).toEqual([OK, arrived, wireLength, wireLength > arrived ? 1 : 0])
  })

  test('is never less than what arrived: Ethernet pads short packets', () => {
    const short = `${MACS}08004500001c${'00'.repeat(42)}`
    expect(rebuild(short, short.length / 2)).toEqual([OK, short.length / 2, short.length / 2, 0])
  })

  test('is bounded where a packet lies', () => {
    expect(rebuild(`${MACS}08004500ffff${'00'.repeat(16)}`, 34)).toEqual([OK, 34, 14 + 65_535, 1])
    expect(rebuild(`${MACS}86dd60000000ffff${'00'.repeat(34)}`, 54)).toEqual([OK, 54, 54 + 65_535, 1])
  })
})
