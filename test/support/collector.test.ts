import { createSocket } from 'node:dgram'
import { afterEach, expect } from 'vitest'
import { Collector, expectBalance, startCollector } from './collector.ts'
import { GOLDEN } from './oracle.ts'
import { requires } from './requirements.ts'

const it = requires('build', 'linux')
let collector: Collector | undefined
afterEach(() => collector?.dispose())

it('a collector is started, stopped by a signal, and gives a report that adds up', async () => {
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', 'null'])
  expect(collector.stderr).toContain('listening')
  expect(await collector.stop('SIGTERM')).toBe(0)
  const report = collector.report()
  expect(report.received).toBe(0)
  expectBalance(report)
})

it('a collector that ends by itself is told by its exit code', async () => {
  collector = new Collector(['decap', `${GOLDEN}kernel-ipv4.pcap`, '--out', 'null'])
  expect(await collector.exit()).toBe(0)
  expect(collector.report().received).toBe(5)
  expectBalance(collector.report())
})

it('a collector that cannot start is an error with its own words', async () => {
  const taken = createSocket('udp4')
  await new Promise<void>((resolve) => taken.bind(0, '127.0.0.1', resolve))
  const { port } = taken.address()
  await expect(startCollector(['--listen', `vxlan://127.0.0.1:${port}`, '--out', 'null'])).rejects.toThrow(
    `port ${port} is in use`,
  )
  await new Promise<void>((resolve) => taken.close(() => resolve()))
})
