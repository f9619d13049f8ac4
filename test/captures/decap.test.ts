import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { Collector, expectBalance, type Report } from '../support/collector.ts'
import { expectedFrames, GOLDEN, goldenCaptures, goldenFrames, tunnelCaptures } from '../support/oracle.ts'
import { requires, SHARED_CAPTURES, unmet } from '../support/requirements.ts'
import { fieldsOf, framesOf } from '../support/tshark.ts'

/** Captures on ports that belong to no encapsulation by convention. */
const LISTEN: Record<string, string[]> = {
  'packetnet/vxlan_custom_port.pcap': ['--listen', 'vxlan://:65530'],
}

/** VXLAN in captures that tshark 4.0 does not dissect: outer lengths of 0 (BIG TCP); see ORACLE-NOTES.md, number 10. */
const BIG_TCP = [
  ['tcpdump/bigtcp-ipv4-vxlan-ipv4.pcap', 50],
  ['tcpdump/bigtcp-ipv4-vxlan-ipv6.pcap', 50],
  ['tcpdump/bigtcp-ipv6-vxlan-ipv4.pcap', 70],
] as const

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'decap-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function decap(file: string, args: readonly string[] = []): Promise<{ report: Report; out: string }> {
  const out = join(folder, `${Math.random().toString(36).slice(2)}.pcap`)
  const collector = new Collector(['decap', file, '--out', `pcap:${out}`, ...args])
  try {
    expect({ file, exit: await collector.exit(), stderr: collector.stderr }).toMatchObject({ exit: 0 })
    const report = collector.report()
    expectBalance(report)
    return { report, out }
  } finally {
    await collector.dispose()
  }
}

function sha256(hex: string): string {
  return createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex')
}

describe('captures of other projects', () => {
  const it = requires('build', 'shared-captures', 'tshark')
  const paths = unmet('shared-captures').length > 0 ? ['(none)'] : tunnelCaptures()

  it.each(paths)('%s: VXLAN comes out as tshark dissects it, byte for byte', async (path) => {
    const file = join(SHARED_CAPTURES, path)
    const expected = expectedFrames(path).filter((frame) => frame.encapsulation === 'vxlan')
    if (BIG_TCP.some(([big]) => big === path)) return
    const { report, out } = await decap(file, LISTEN[path])
    const frames = framesOf(out)
    expect(frames.map((frame) => sha256(frame.bytes))).toEqual(expected.map((frame) => frame.sha256))
    const times = fieldsOf(file, ['frame.time_epoch'])
    const arrived = expected.map((frame) => times[frame.frameNumber - 1]![0])
    const stamped = frames.map((frame) => `${frame.seconds}.${String(frame.nanoseconds).padStart(9, '0')}`)
    expect(stamped).toEqual(arrived)
    const vnis: Record<string, number> = {}
    for (const { tunnelId } of expected) vnis[String(tunnelId)] = (vnis[String(tunnelId)] ?? 0) + 1
    expect(report.vnis).toEqual(vnis)
  })

  it.each(BIG_TCP)('%s: a frame above 64 KiB comes out whole', async (path, offset) => {
    const file = join(SHARED_CAPTURES, path)
    const { report, out } = await decap(file)
    const expected = framesOf(file).map((frame) => sha256(frame.bytes.slice(2 * offset)))
    expect(framesOf(out).map((frame) => sha256(frame.bytes))).toEqual(expected)
    expect(report.vnis).toEqual({ 5001: expected.length })
  })
})

describe('golden captures', () => {
  const it = requires('build', 'tshark')

  it.each(goldenCaptures())('%s: frames, lengths and VNIs are those expected', async (name) => {
    const { report, out } = await decap(join(GOLDEN, `${name}.pcap`))
    const expected = goldenFrames(name)
    const got = framesOf(out).map((frame) => ({
      captured: frame.captured,
      wireLength: frame.wireLength,
      sha256: sha256(frame.bytes),
    }))
    expect(got).toEqual(
      expected.map(({ captured, wireLength, sha256: hash }) => ({ captured, wireLength, sha256: hash })),
    )
    const vnis: Record<string, number> = {}
    for (const { vni } of expected) vnis[String(vni)] = (vnis[String(vni)] ?? 0) + 1
    expect(report.vnis).toEqual(vnis)
  })
})
