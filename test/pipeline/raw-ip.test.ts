import { expect, test } from 'vitest'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../src/wire/link-type.ts'
import { Line } from './line.ts'
import { innerFrame, ipv4 } from './packets.ts'

/** GRE without options (RFC 2784) around an IPv4 packet, an ARP packet and an Ethernet frame. */
const IPV4 = `4500001c00010000401166cf0a0100010a010002${'00350035'}00080000`
const ARP = '0001080006040001020000000001 0a000001 000000000000 0a000002'.replaceAll(' ', '')
const packets = [`00000800${IPV4}`, `00000806${ARP}`, `00006558${innerFrame(1)}`].map((payload) => ({
  bytes: ipv4(payload, { protocol: 47 }),
}))
const ZEROES = '00'.repeat(12)

test('IP packets without Ethernet stay bare when asked for; ARP, which cannot, gets its header', async () => {
  const line = await Line.create({ engine: 'file', ipFrames: 'raw' })
  line.process(packets)
  expect(line.frames.map(({ bytes }) => bytes)).toEqual([IPV4, `${ZEROES}0806${ARP}`, innerFrame(1)])
})

test('a sink that takes one link type counts the frames of the other, and the user is told once', async () => {
  const settings = { sinks: [[], [], []], linkTypes: [undefined, LINKTYPE_RAW, LINKTYPE_ETHERNET] }
  const line = await Line.create({ engine: 'file', ipFrames: 'raw', ...settings })
  line.process(packets)
  line.process(packets)
  expect(line.sinks.map(({ collected }) => collected.frames.length)).toEqual([6, 2, 4])
  expect(line.sinks.map(({ counters }) => counters.dropped())).toEqual([{}, { 'link-type': 4 }, { 'link-type': 2 }])
  expect(line.said).toEqual([
    'sink 1 takes bare IP packets only: Ethernet frames are not written there. Write pcapng, or leave out --ip-frames raw.',
    'sink 2 takes Ethernet frames only: bare IP packets are not written there. Write pcapng, or leave out --ip-frames raw.',
  ])
})

test('what is kept of a bare packet counts from its own first byte', async () => {
  const snapped = await Line.create({ engine: 'file', ipFrames: 'raw', snapLength: 10 })
  snapped.process(packets)
  expect(snapped.frames[0]).toMatchObject({ bytes: IPV4.slice(0, 20), wireLength: 28 })
  const headers = await Line.create({ engine: 'file', ipFrames: 'raw', headers: 'l3' })
  headers.process(packets)
  expect(headers.frames.map(({ bytes }) => bytes.length / 2)).toEqual([20, 42, 14])
})
