import { describe, expect, test } from 'vitest'
import { LINKTYPE_RAW } from '../../src/wire/link-type.ts'
import { hex } from '../wire/bytes.ts'
import { Line, type Packet } from './line.ts'
import { innerFrame, ipv4, ipv6, outerPacket, udp, vxlanHeader } from './packets.ts'

const MORE = 0x2000
const WHOLE = udp(vxlanHeader(42) + innerFrame(9, 1000))

/** The pieces of an IPv4 packet, each with so many bytes of payload. */
function pieces(payload: string, size: number, id: number): Packet[] {
  const result: Packet[] = []
  for (let at = 0; at < payload.length / 2; at += size) {
    const part = payload.slice(2 * at, 2 * (at + size))
    const more = 2 * (at + size) < payload.length ? MORE : 0
    result.push({ bytes: ipv4(part, { id, fragment: more | (at / 8) }) })
  }
  return result
}

test('the outer headers come off', async () => {
  const line = await Line.create({ engine: 'file' })
  const whole = outerPacket(5, innerFrame(1))
  line.process([
    { bytes: whole },
    { bytes: ipv6(udp(vxlanHeader(6) + innerFrame(2))) },
    { bytes: whole.slice(14), linkType: LINKTYPE_RAW },
    { bytes: hex(`020000000002 020000000001 8100 0064 ${Buffer.from(whole.slice(12)).toString('hex')}`) },
  ])
  expect(line.frames.map(({ tunnelId, bytes }) => [tunnelId, bytes])).toEqual([
    [5, innerFrame(1)],
    [6, innerFrame(2)],
    [5, innerFrame(1)],
    [5, innerFrame(1)],
  ])
})

test('what a capture has cut keeps its length on the wire', async () => {
  const line = await Line.create({ engine: 'file' })
  const whole = outerPacket(5, innerFrame(1, 500))
  line.process([{ bytes: whole.slice(0, 80), wireLength: whole.length }])
  expect(line.frames).toMatchObject([{ bytes: innerFrame(1, 500).slice(0, 60), wireLength: 514 }])
})

test('neither Ethernet padding nor bytes behind the UDP datagram belong to the frame', async () => {
  const line = await Line.create({ engine: 'file' })
  const short = udp(vxlanHeader(5) + innerFrame(1, 2))
  line.process([{ bytes: new Uint8Array([...ipv4(short), 0, 0, 0, 0]) }, { bytes: ipv4(`${short}ffff`) }])
  expect(line.frames.map(({ bytes, wireLength }) => [bytes, wireLength])).toEqual([
    [innerFrame(1, 2), 16],
    [innerFrame(1, 2), 16],
  ])
})

test.each([
  ['no bytes', new Uint8Array(0), 'bad-outer'],
  ['half an Ethernet header', hex('020000000002 02'), 'bad-outer'],
  ['ARP', hex('ffffffffffff 020000000001 0806 0001080006040001'), 'unknown-encapsulation'],
  // The kernel throws these away (seen with the udp engine, which then receives none): no capture has cut them, they were never longer.
  ['IPv4 longer than the wire', outerPacket(1, innerFrame(1, 100)).slice(0, 50), 'bad-outer'],
  ['IPv6 longer than the wire', ipv6(udp(vxlanHeader(1) + innerFrame(1, 100))).slice(0, 70), 'bad-outer'],
  ['TCP to port 4789', ipv4(udp(vxlanHeader(1)), { protocol: 6 }), 'unknown-encapsulation'],
  ['UDP to another port', outerPacket(1, innerFrame(1), { port: 4788 }), 'unknown-encapsulation'],
  ['half a UDP header', ipv4('c00012b5'), 'bad-outer'],
  ['a UDP length that lies', ipv4(`c00012b5ffff0000${innerFrame(1)}`), 'bad-outer'],
  ['an empty UDP datagram', ipv4(udp('')), 'short-header'],
])('%s is no tunnel: %s', async (_name, bytes, reason) => {
  const line = await Line.create({ engine: 'file' })
  line.process([{ bytes }, { bytes: outerPacket(7, innerFrame(1)) }])
  expect(line.frames.length).toBe(1)
  expect(line.counters.dropped()).toEqual({ [reason]: 1 })
})

describe('pieces of an outer packet', () => {
  test('come out as one frame, whose row is that of the piece that came last', async () => {
    const line = await Line.create({ engine: 'file' })
    const [first, second, third] = pieces(WHOLE, 400, 1) as [Packet, Packet, Packet]
    line.process([{ ...third, second: 1 }, { ...first, second: 2 }, { bytes: outerPacket(5, innerFrame(1)) }])
    expect(line.frames.length).toBe(1)
    line.process([{ ...second, second: 3 }])
    expect(line.frames[1]).toEqual({
      tunnelId: 42,
      bytes: innerFrame(9, 1000),
      wireLength: 1014,
      second: 3,
      nanosecond: 0,
    })
    expect(line.counters.dropped()).toEqual({ 'fragment-reassembled': 2 })
  })

  test('of IPv6 come out as one frame', async () => {
    const line = await Line.create({ engine: 'file' })
    // RFC 8200 section 4.5: next header UDP, offset and M, identification.
    const piece = (from: number, to: number, field: string) =>
      ipv6(`1100${field}00000007${WHOLE.slice(2 * from, 2 * to)}`, '2c')
    line.process([{ bytes: piece(0, 512, '0001') }, { bytes: piece(512, 2000, '0200') }])
    expect(line.frames).toMatchObject([{ tunnelId: 42, bytes: innerFrame(9, 1000) }])
  })

  test('that never become whole are counted when no packet follows', async () => {
    const line = await Line.create({ engine: 'file' })
    line.process(pieces(WHOLE, 400, 1).slice(0, 2))
    expect(line.counters.dropped()).toEqual({})
    line.pipeline.close()
    expect(line.counters.dropped()).toEqual({ 'fragment-incomplete': 2 })
    line.expectBalance()
  })

  test('that contradict each other are counted at once', async () => {
    const line = await Line.create({ engine: 'file' })
    const [first] = pieces(WHOLE, 400, 1) as [Packet]
    const [longer] = pieces(WHOLE, 800, 1) as [Packet]
    line.process([first, longer])
    expect(line.counters.dropped()).toEqual({ 'fragment-incomplete': 2 })
  })

  test('that make up a bad datagram are counted: one by the verdict, the others as reassembled', async () => {
    const line = await Line.create({ engine: 'file' })
    line.process(pieces(udp(vxlanHeader(1) + innerFrame(1, 1000), 53), 400, 1))
    expect(line.counters.dropped()).toEqual({ 'unknown-encapsulation': 1, 'fragment-reassembled': 2 })
  })

  test('may fill a whole batch with datagrams that become whole, and the next', async () => {
    const line = await Line.create({ engine: 'file' })
    for (let batch = 0; batch < 3; batch++) {
      const payload = (id: number) => udp(vxlanHeader(id) + innerFrame(id))
      const packets = Array.from({ length: 128 }, (_, id) => pieces(payload(id), 48, id)).flat()
      line.process(packets)
    }
    expect(line.frames.map(({ tunnelId }) => tunnelId)).toEqual(Array.from({ length: 384 }, (_, i) => i % 128))
    for (const { tunnelId, bytes } of line.frames) expect(bytes).toBe(innerFrame(tunnelId))
  })

  test('in a flood that never becomes whole take nothing from the packets beside them', async () => {
    const line = await Line.create({ engine: 'file' })
    for (let batch = 0; batch < 10; batch++) {
      const flood = Array.from({ length: 255 }, (_, i) => pieces(WHOLE, 400, batch * 255 + i)[0]!)
      line.process([...flood, { bytes: outerPacket(5, innerFrame(batch)) }])
    }
    expect(line.frames.map(({ bytes }) => bytes)).toEqual(Array.from({ length: 10 }, (_, i) => innerFrame(i)))
    line.pipeline.close()
    expect(line.counters.dropped()).toEqual({ 'fragment-incomplete': 2550 })
  })
})
