import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { numberedFrame, send, vxlan } from '../support/sender.ts'
import { fieldsOf, framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const TUNNELS = 20_000
const PART = 2500
/** Tunnels that are told apart; those that come later are counted together. */
const BOUND = 4096

let folder = ''
let collector: Collector
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'many-tunnels-'))
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function startWith(sink: string): Promise<void> {
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', sink])
}

/** One frame in each of so many VNIs, from 1 on; before each next part the sink has written the one before. */
async function sendAll(): Promise<void> {
  const frame = numberedFrame(0)
  let { received } = await collector.statistics()
  for (let vni = 1; vni <= TUNNELS; vni += PART) {
    await send(
      Array.from({ length: PART }, (_, i) => vxlan(vni + i, frame)),
      collector.ports[0]!,
    )
    received += PART
    await until('the sink has all', async () => (await collector.statistics()).sinks[0]!.written === received)
  }
}

async function finish(): Promise<Report> {
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report.kernelDropped).toBe(0)
  expect(report.delivered).toBe(report.received)
  return report
}

function residentMiB(): number {
  const status = readFileSync(`/proc/${collector.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024
}

const it = requires('build', 'linux')

it('VNIs beyond the bound are counted as other, and cost no memory', async () => {
  await startWith('null')
  await sendAll()
  const before = residentMiB()
  for (let round = 0; round < 4; round++) await sendAll()
  const growth = residentMiB() - before
  const { vnis, received } = await finish()
  expect(received).toBe(5 * TUNNELS)
  expect(Object.keys(vnis)).toHaveLength(BOUND + 1)
  expect(vnis).toMatchObject({ 1: 5, [BOUND]: 5, other: 5 * (TUNNELS - BOUND) })
  // The garbage of five statistics reports; a table entry for each VNI and round would be more.
  expect(growth).toBeLessThan(16)
})

requires(
  'build',
  'linux',
  'tshark',
)('a file for each VNI is bounded, too, and frames beyond share one', async () => {
  await startWith(`pcap:${folder}/{vni}.pcap`)
  await sendAll()
  const { sinks } = await finish()
  expect(sinks[0]).toMatchObject({ written: TUNNELS, dropped: {} })
  expect(readdirSync(folder)).toHaveLength(BOUND + 1)
  expect(framesOf(join(folder, '1.pcap'))).toHaveLength(1)
  expect(framesOf(join(folder, `${BOUND}.pcap`))).toHaveLength(1)
  expect(framesOf(join(folder, 'other.pcap'))).toHaveLength(TUNNELS - BOUND)
})

requires(
  'build',
  'linux',
  'tshark',
)('a pcapng file has an interface for each VNI up to the bound, and one for the others', async () => {
  const file = join(folder, 'all.pcapng')
  await startWith(`pcapng:${file}`)
  await sendAll()
  expect((await finish()).sinks[0]).toMatchObject({ written: TUNNELS, dropped: {} })
  const frames = new Map<string, number>()
  for (const [name] of fieldsOf(file, ['frame.interface_name'])) frames.set(name!, (frames.get(name!) ?? 0) + 1)
  expect(frames.size).toBe(BOUND + 1)
  expect(frames.get('vxlan-1')).toBe(1)
  expect(frames.get('vxlan-other')).toBe(TUNNELS - BOUND)
})
