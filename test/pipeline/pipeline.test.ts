import { describe, expect, test } from 'vitest'
import { BAD_FLAGS, SHORT_FRAME, SHORT_HEADER, VERDICTS, VNI_NOT_ALLOWED } from '../../src/wire/verdict.ts'
import { hex } from '../wire/bytes.ts'
import { Line, ROWS } from './line.ts'
import { innerFrame, outerPacket, tunnelPayload } from './packets.ts'

const deny = (id: number) => ({ from: id, to: id, deny: true })

test('frames come out of their tunnels in order, with all that is known of them', async () => {
  const line = await Line.create({ engine: 'udp' })
  line.process([
    { bytes: tunnelPayload(100, innerFrame(1)), second: 7 },
    { bytes: tunnelPayload(200, innerFrame(2, 100)), second: 8 },
    { bytes: tunnelPayload(100, innerFrame(3)), second: 9 },
  ])
  expect(line.frames).toEqual([
    { tunnelId: 100, bytes: innerFrame(1), wireLength: 60, second: 7, nanosecond: 0 },
    { tunnelId: 200, bytes: innerFrame(2, 100), wireLength: 114, second: 8, nanosecond: 0 },
    { tunnelId: 100, bytes: innerFrame(3), wireLength: 60, second: 9, nanosecond: 0 },
  ])
  expect([line.counters.received, line.counters.delivered, line.vnis]).toEqual([3, 3, { 100: 2, 200: 1 }])
})

/** Tunnel payloads by what becomes of them in a pipeline that refuses VNI 13. */
const fates = new Map([
  [SHORT_HEADER, hex('0800')],
  [BAD_FLAGS, hex(`0000000000000100${innerFrame(0)}`)],
  [VNI_NOT_ALLOWED, tunnelPayload(13, innerFrame(0))],
  [SHORT_FRAME, tunnelPayload(1, '0200')],
])

test.each([...fates])('the verdict %i is counted once, and its rows are left out', async (verdict, bad) => {
  const line = await Line.create({ engine: 'udp', wanted: [deny(13)] })
  const good = (number: number) => ({ bytes: tunnelPayload(1, innerFrame(number)) })
  line.process([{ bytes: bad }, good(1), { bytes: bad }, { bytes: bad }, good(2), good(3), { bytes: bad }])
  expect(line.frames.map(({ bytes }) => bytes)).toEqual([innerFrame(1), innerFrame(2), innerFrame(3)])
  expect(line.counters.dropped()).toEqual({ [VERDICTS[verdict]!]: 4 })
  line.process([{ bytes: bad }])
  expect(line.counters.dropped()).toEqual({ [VERDICTS[verdict]!]: 5 })
  expect(line.sinks[0]!.collected.writes).toBe(1)
})

test('any mixture of fates is counted exactly, batch after batch', async () => {
  const line = await Line.create({ engine: 'udp', wanted: [deny(13)] })
  const kinds = [...fates.values(), tunnelPayload(7, innerFrame(0)), tunnelPayload(8, innerFrame(0))]
  const expected = new Array(kinds.length).fill(0)
  let state = 1
  for (let batch = 0; batch < 50; batch++) {
    const packets = Array.from({ length: batch % 3 === 0 ? ROWS : batch }, () => {
      state = (state * 48_271) % 0x7fffffff
      expected[state % kinds.length]++
      return { bytes: kinds[state % kinds.length]! }
    })
    line.process(packets)
  }
  const [short, flags, vni, frame, seven, eight] = expected
  expect(line.counters.dropped()).toEqual({
    'short-header': short,
    'bad-flags': flags,
    'vni-not-allowed': vni,
    'short-frame': frame,
  })
  expect([line.counters.delivered, line.vnis]).toEqual([seven + eight, { 7: seven, 8: eight }])
  expect(line.frames.length).toBe(seven + eight)
})

test('an empty batch changes nothing', async () => {
  const line = await Line.create({ engine: 'udp' })
  line.process([])
  expect([line.counters.received, line.frames.length, line.sinks[0]!.collected.writes]).toEqual([0, 0, 0])
})

test('every sink gets what it selects of what was let in', async () => {
  const line = await Line.create({ engine: 'udp', wanted: [deny(13)], sinks: [[], [{ from: 2, to: 2, deny: false }]] })
  line.process([1, 2, 13, 2].map((vni) => ({ bytes: tunnelPayload(vni, innerFrame(vni)) })))
  expect(line.sinks.map(({ collected }) => collected.frames.map(({ tunnelId }) => tunnelId))).toEqual([
    [1, 2, 2],
    [2, 2],
  ])
  expect(line.sinks[1]!.counters.dropped()).toEqual({ 'not-selected': 1 })
})

test('frames are cut to the snap length', async () => {
  const line = await Line.create({ engine: 'udp', snapLength: 20 })
  line.process([{ bytes: tunnelPayload(1, innerFrame(1)) }])
  expect(line.frames).toMatchObject([{ bytes: innerFrame(1).slice(0, 40), wireLength: 60 }])
})

test('--strict refuses reserved bits', async () => {
  const line = await Line.create({ engine: 'udp', strict: true })
  line.process([{ bytes: hex(`0800000000000101${innerFrame(1)}`) }, { bytes: tunnelPayload(1, innerFrame(2)) }])
  expect([line.counters.dropped(), line.frames.length]).toEqual([{ 'bad-flags': 1 }, 1])
})

test('flush and close reach the sinks', async () => {
  const line = await Line.create({ engine: 'udp' })
  line.pipeline.flush()
  line.pipeline.close()
  expect(line.sinks[0]!.collected).toMatchObject({ flushes: 1, closes: 1 })
})

describe('packets from a file', () => {
  test('are looked for at every port that an encapsulation has by convention', async () => {
    const line = await Line.create({ engine: 'file' })
    line.process([4789, 8472, 4791, 53].map((port) => ({ bytes: outerPacket(port, innerFrame(1), { port }) })))
    expect(line.frames.map(({ tunnelId }) => tunnelId)).toEqual([4789, 8472])
    expect(line.counters.dropped()).toEqual({ 'unknown-encapsulation': 2 })
  })

  test('are looked for at the ports that are listened on alone, if any are', async () => {
    const line = await Line.create({ engine: 'file', ports: [5000] })
    line.process([4789, 5000].map((port) => ({ bytes: outerPacket(port, innerFrame(1), { port }) })))
    expect(line.frames.map(({ tunnelId }) => tunnelId)).toEqual([5000])
  })

  test('are let in by the addresses of their outer headers', async () => {
    const line = await Line.create({ engine: 'file', allowFrom: ['10.0.0.0/30', '192.0.2.7'] })
    const sources = ['0a000001', '0a000005', 'c0000207', '0a000003', 'c0000208']
    line.process(sources.map((source, i) => ({ bytes: outerPacket(i, innerFrame(1), { source }) })))
    expect(line.frames.map(({ tunnelId }) => tunnelId)).toEqual([0, 2, 3])
    expect(line.counters.dropped()).toEqual({ 'source-not-allowed': 2 })
  })
})
