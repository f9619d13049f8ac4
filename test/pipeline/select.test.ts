import { expect, test } from 'vitest'
import { compileFilter } from '../../src/dgram-extended/libpcap.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { type SelectOptions, SelectStep } from '../../src/pipeline/select.ts'
import { PipelineCounters } from '../../src/telemetry/counters.ts'
import { LINKTYPE_ETHERNET } from '../../src/wire/link-type.ts'
import { DUPLICATE, FILTERED, OK, SAMPLED } from '../../src/wire/verdict.ts'
import { frameOf, words } from '../frames/flow-frames.ts'
import { requires } from '../support/requirements.ts'
import { Line } from './line.ts'

function flowFrame(source: string, destination: string, ports: readonly number[]): Uint8Array {
  return frameOf({ protocol: 17, source, destination, transport: words(...ports, 8, 0) })
}

function vxlan(vni: number, frame: Uint8Array): Uint8Array {
  return Uint8Array.from([8, 0, 0, 0, 0, 0, vni, 0, ...frame])
}

test('of a thousand flows a tenth is kept, whole, and of that the tenth that 1/100 keeps', async () => {
  const FLOWS = 1000
  const kept = await Promise.all(
    [10, 100].map(async (sample) => {
      const line = await Line.create({ engine: 'udp', sample })
      for (let i = 0; i < FLOWS; i++) {
        const [here, there] = ['10.0.0.1', `10.1.${i >> 8}.${i & 255}`]
        line.process([
          { bytes: vxlan(1, flowFrame(here, there, [i, 53])) },
          { bytes: vxlan(2, flowFrame(there, here, [53, i])) },
        ])
      }
      expect(line.counters.dropped()).toEqual({ sampled: 2 * FLOWS - line.frames.length })
      expect(line.counters.received).toBe(2 * FLOWS)
      return line.frames.map(({ bytes }) => bytes)
    }),
  )
  const [tenth, hundredth] = kept as [string[], string[]]
  // 200 expected of 2000, in pairs; standard deviation 19.
  expect(Math.abs(tenth.length - 200)).toBeLessThan(80)
  expect(hundredth.length).toBeGreaterThan(0)
  for (const frames of kept) expect(frames.length % 2).toBe(0)
  expect(hundredth.filter((bytes) => !tenth.includes(bytes))).toEqual([])
})

test('copies are dropped within the window, per VNI, and counted', async () => {
  const line = await Line.create({ engine: 'udp', dedup: 2000 })
  const frame = flowFrame('10.0.0.1', '10.0.0.2', [1000, 53])
  const routed = Uint8Array.from(frame)
  routed.set([2, 9, 9, 9, 9, 9], 6)
  routed[22]! -= 1
  line.process([
    { bytes: vxlan(1, frame), second: 1000 },
    { bytes: vxlan(1, routed), second: 1001 },
    { bytes: vxlan(2, frame), second: 1001 },
    { bytes: vxlan(1, frame), second: 1002 },
    { bytes: vxlan(1, frame), second: 1003 },
  ])
  expect(line.counters.dropped()).toEqual({ duplicate: 2 })
  expect(line.frames.map(({ tunnelId }) => tunnelId)).toEqual([1, 2, 1])
})

requires('linux', 'libpcap')('the cheapest question comes first, and what it leaves out is not remembered', () => {
  const filter = compileFilter('udp port 53', LINKTYPE_ETHERNET, 1)
  const batch = new FrameBatch(new ArrayBuffer(4096), 4)
  const frames = [53, 53, 54, 54].map((port) => flowFrame('10.0.0.1', '10.0.0.2', [1000, port]))
  frames.forEach((bytes, row) => {
    batch.bytes.set(bytes, row * 100)
    batch.offset[row] = row * 100
    batch.captured[row] = bytes.length
    batch.wireLength[row] = bytes.length
    batch.linkType[row] = LINKTYPE_ETHERNET
  })
  const judged = (options: SelectOptions) => {
    const step = new SelectStep(options, batch, new PipelineCounters())
    return frames.map((_, row) => step.judge(batch, row))
  }
  expect(judged({})).toEqual([OK, OK, OK, OK])
  expect(judged({ filter })).toEqual([OK, OK, FILTERED, FILTERED])
  expect(judged({ filter, dedup: 50 })).toEqual([OK, DUPLICATE, FILTERED, FILTERED])
  expect(judged({ filter, sample: 2 ** 32, dedup: 50 })).toEqual([SAMPLED, SAMPLED, FILTERED, FILTERED])
})
