import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { joinedNamespaces } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { numberedDatagrams, numberedFrame, send, vxlan } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

let folder = ''
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'engines-'))
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const it = requires('build', 'linux', 'tshark')
const ENGINES = ['udp', 'dgram'] as const

/** Sizes from the smallest frame there is to the largest that a datagram holds. */
function mixedFrames(): Buffer[] {
  const frames = Array.from({ length: 2000 }, (_, i) => numberedFrame(i, 22 + ((i * 7919) % 8979)))
  frames.splice(1000, 0, Buffer.alloc(14, 1), numberedFrame(9000, 9000), numberedFrame(65_000, 65_000))
  return frames
}

it.each(ENGINES)('engine %s writes what was sent, byte for byte, from 14 bytes to 65 000', async (engine) => {
  const file = join(folder, 'out.pcap')
  const args = ['--listen', 'vxlan://127.0.0.1:0', '--engine', engine, '--out', `pcap:${file}`]
  const running = await startCollector(args)
  collector = running
  const frames = mixedFrames()
  for (let part = 0; part < frames.length; part += 500) {
    const datagrams = frames.slice(part, part + 500).map((frame) => vxlan(11_259_375, frame))
    await send(datagrams, running.ports[0]!)
    const all = Math.min(part + 500, frames.length)
    await until('all have arrived', async () => (await running.statistics()).received === all)
  }
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ delivered: frames.length, kernelDropped: 0, vnis: { 11259375: frames.length } })
  const got = framesOf(file)
  expect(got).toHaveLength(frames.length)
  const wrong = got.findIndex((frame, i) => frame.bytes !== frames[i]!.toString('hex'))
  expect(wrong).toBe(-1)
  expect(got.every((frame) => frame.captured === frame.wireLength)).toBe(true)
})

const SEND_TO_BOTH = `
  const { createSocket } = require('node:dgram')
  const datagram = (vni) => Buffer.from('08000000' + vni + '00' + '02'.repeat(60), 'hex')
  for (const [type, address, vni] of [['udp4', '127.0.0.1', '000004'], ['udp6', '::1', '000006']]) {
    const socket = createSocket(type)
    let left = 10
    const next = () => (left-- > 0 ? socket.send(datagram(vni), 4789, address, next) : socket.close())
    next()
  }`

requires('build', 'linux', 'root', 'namespaces', 'ip', 'ethtool').each(ENGINES)(
  'engine %s: without --listen both address families reach port 4789',
  async (engine) => {
    const hosts = joinedNamespaces()
    try {
      const running = await startCollector(['--engine', engine, '--out', 'null'], { namespace: hosts.left.name })
      collector = running
      expect(running.ports).toEqual([4789, 4789])
      hosts.left.exec([process.execPath, '-e', SEND_TO_BOTH])
      expect(await running.stop()).toBe(0)
      const report = running.report()
      expectBalance(report)
      expect(report).toMatchObject({ delivered: 20, vnis: { 4: 10, 6: 10 } })
    } finally {
      await collector?.dispose()
      hosts.dispose()
    }
  },
)

it.each(ENGINES)('engine %s: IPv6 alone', async (engine) => {
  const running = await startCollector(['--listen', 'vxlan://[::1]:0', '--engine', engine, '--out', 'null'])
  collector = running
  expect(running.ports).toHaveLength(1)
  await send(numberedDatagrams(10), running.ports[0]!, '::1')
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  expect(running.report()).toMatchObject({ delivered: 10 })
})

it.each(ENGINES)('engine %s: frames carry the time at which they arrived', async (engine) => {
  const file = join(folder, 'out.pcap')
  const args = ['--listen', 'vxlan://127.0.0.1:0', '--engine', engine, '--out', `pcap:${file}`]
  const running = await startCollector(args)
  collector = running
  const before = Date.now()
  await send(numberedDatagrams(50), running.ports[0]!)
  await until('all have arrived', async () => (await running.statistics()).received === 50)
  const after = Date.now() + 1
  expect(await running.stop()).toBe(0)
  const stamps = framesOf(file).map((frame) => frame.seconds * 1000 + frame.nanoseconds / 1e6)
  expect(stamps).toHaveLength(50)
  expect(stamps).toEqual([...stamps].sort((a, b) => a - b))
  expect(stamps[0]).toBeGreaterThanOrEqual(before)
  expect(stamps[49]).toBeLessThanOrEqual(after)
  expectBalance(running.report())
})
