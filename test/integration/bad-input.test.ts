import { afterEach, describe, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { numberedFrame, send, vxlan } from '../support/sender.ts'

const it = requires('build', 'linux')
const LOOPBACK = ['--listen', 'vxlan://127.0.0.1:0', '--out', 'null']
const ENGINES = ['udp', 'dgram'] as const

let collector: Collector | undefined
afterEach(() => collector?.dispose())

async function collected(args: readonly string[], datagrams: readonly Uint8Array[]): Promise<Report> {
  collector = await startCollector(args)
  await send(datagrams, collector.ports[0]!)
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: datagrams.length, kernelDropped: 0 })
  return report
}

const FRAME = numberedFrame(1)
const I_FLAG_CLEAR = Buffer.concat([Buffer.from('f7ffffff00006400', 'hex'), FRAME])
const RESERVED_BITS_SET = Buffer.concat([Buffer.from('08000000000064ff', 'hex'), FRAME])
const BAD: readonly (readonly [string, Uint8Array, string])[] = [
  ['an empty datagram', Buffer.alloc(0), 'short-header'],
  ['a datagram of 3 bytes', Buffer.from('080000', 'hex'), 'short-header'],
  ['a datagram one byte shorter than the header', Buffer.from('08000000000064', 'hex'), 'short-header'],
  ['the I flag clear', I_FLAG_CLEAR, 'bad-flags'],
  ['a VNI below the range', vxlan(99, FRAME), 'vni-not-allowed'],
  ['a VNI above the range', vxlan(200, FRAME), 'vni-not-allowed'],
  ['a VNI that is denied within the range', vxlan(150, FRAME), 'vni-not-allowed'],
  ['no inner frame', vxlan(100, Buffer.alloc(0)), 'short-frame'],
  ['an inner frame of 13 bytes', vxlan(100, Buffer.alloc(13)), 'short-frame'],
]

describe.each(ENGINES)('engine %s', (engine) => {
  const args = [...LOOPBACK, '--engine', engine, '--vni', '100-199,!150']

  it.each(BAD)('%s is counted, and the good frames around it are delivered', async (_name, bad, reason) => {
    const good = [vxlan(100, Buffer.alloc(14)), vxlan(199, FRAME)]
    const report = await collected(args, [good[0]!, bad, bad, bad, good[1]!])
    expect(report).toMatchObject({ delivered: 2, dropped: { [reason]: 3 }, vnis: { 100: 1, 199: 1 } })
    expect(Object.keys(report.dropped)).toEqual([reason])
  })

  it('reserved bits are ignored, and with --strict refused', async () => {
    expect(await collected(args, [RESERVED_BITS_SET])).toMatchObject({ delivered: 1, dropped: {} })
    await collector?.dispose()
    expect(await collected([...args, '--strict'], [RESERVED_BITS_SET])).toMatchObject({ dropped: { 'bad-flags': 1 } })
  })

  it('senders that --allow-from does not name are refused, of either family', async () => {
    const everywhere = ['--listen', 'vxlan://127.0.0.1:0', '--listen', 'vxlan://[::1]:0', '--out', 'null']
    const tell = async (allowed: string): Promise<Report> => {
      collector = await startCollector([...everywhere, '--engine', engine, '--allow-from', allowed])
      const [ipv4, ipv6] = collector.ports
      await send([vxlan(1, FRAME)], ipv4!, '127.0.0.1', '127.0.0.1')
      await send([vxlan(2, FRAME)], ipv4!, '127.0.0.1', '127.0.0.2')
      await send([vxlan(3, FRAME)], ipv6!, '::1')
      expect(await collector.stop()).toBe(0)
      const report = collector.report()
      expectBalance(report)
      await collector.dispose()
      return report
    }
    expect(await tell('127.0.0.1')).toMatchObject({ vnis: { 1: 1 }, dropped: { 'source-not-allowed': 2 } })
    expect(await tell('127.0.0.2/31')).toMatchObject({ vnis: { 2: 1 }, dropped: { 'source-not-allowed': 2 } })
    expect(await tell('::/64')).toMatchObject({ vnis: { 3: 1 }, dropped: { 'source-not-allowed': 2 } })
    expect(await tell('127.0.0.0/8,::1')).toMatchObject({ vnis: { 1: 1, 2: 1, 3: 1 }, dropped: {} })
  })
})

it('ten thousand bad datagrams are counted, and log not one line', async () => {
  const bad = Array.from({ length: 10_000 }, (_, i) => BAD[i % BAD.length]![1])
  const report = await collected([...LOOPBACK, '--vni', '100-199,!150'], bad)
  expect(report.delivered).toBe(0)
  const expected: Record<string, number> = {}
  for (let i = 0; i < bad.length; i++) {
    const reason = BAD[i % BAD.length]![2]
    expected[reason] = (expected[reason] ?? 0) + 1
  }
  expect(report.dropped).toEqual(expected)
  expect(collector!.log.map((line) => line.level)).toEqual(['info'])
  expect(collector!.log[0]!.msg).toContain('listening')
})
