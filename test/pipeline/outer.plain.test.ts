import fc from 'fast-check'
import { expect, it } from 'vitest'
import { hex } from '../wire/bytes.ts'
import { Line } from './line.ts'
import { innerFrame, vxlanHeader } from './packets.ts'

const field = (value: number): string => value.toString(16).padStart(4, '0')

interface Lies {
  readonly total: number
  readonly udp: number
  readonly fragment: number
  readonly protocol: number
  readonly port: number
  readonly payload: number
  readonly kept: number
}

/** A packet whose fields may lie; `options`: four bytes of NOP behind the IPv4 header, which change nothing else. */
function packet(lies: Lies, options: boolean): Uint8Array {
  const payload = vxlanHeader(7) + innerFrame(1, lies.payload)
  const more = options ? 4 : 0
  // A length of 0 would have a meaning of its own.
  const total = Math.max(1, 28 + payload.length / 2 + lies.total) + more
  const udp = `c000${field(lies.port)}${field(Math.max(0, 8 + payload.length / 2 + lies.udp))}0000`
  const protocol = lies.protocol.toString(16).padStart(2, '0')
  const ip = `4${options ? 6 : 5}00${field(total)}0001${field(lies.fragment)}40${protocol}00000a0000010a000002`
  const bytes = hex(`0200000000020200000000010800${ip}${options ? '01010101' : ''}${udp}${payload}`)
  return bytes.subarray(0, Math.max(14, bytes.length - lies.kept))
}

/** What becomes of one packet: the frames that come out, and the reason that is counted. */
function outcome(line: Line, bytes: Uint8Array): unknown {
  const frames = line.frames.length
  const before = line.counters.dropped()
  line.process([{ bytes, wireLength: bytes.length }])
  const counted = Object.entries(line.counters.dropped()).filter(([reason, count]) => count !== before[reason])
  return {
    frames: line.frames.slice(frames).map((frame) => JSON.stringify(frame)),
    counted: counted.map(([reason]) => reason),
  }
}

const lies = fc.record({
  total: fc.oneof(fc.constant(0), fc.integer({ min: -120, max: 60 })),
  udp: fc.oneof(fc.constant(0), fc.integer({ min: -120, max: 60 })),
  // Fragments are another matter: outer.test.ts. These bits are "don't fragment" and the reserved one.
  fragment: fc.constantFrom(0, 0x4000, 0x8000),
  protocol: fc.oneof(fc.constant(17), fc.constantFrom(6, 47, 0)),
  port: fc.oneof(fc.constant(4789), fc.constantFrom(4788, 0, 65_535)),
  payload: fc.integer({ min: 0, max: 90 }),
  kept: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 150 })),
})

it('the short way finds what the long way finds, whatever the fields say', async () => {
  const line = await Line.create({ engine: 'file', ports: [4789] })
  fc.assert(
    fc.property(lies, (each) => {
      expect(outcome(line, packet(each, false))).toEqual(outcome(line, packet(each, true)))
    }),
    { numRuns: 3000 },
  )
  expect(line.frames.length).toBeGreaterThan(200)
  expect(Object.keys(line.counters.dropped()).length).toBeGreaterThan(3)
})
