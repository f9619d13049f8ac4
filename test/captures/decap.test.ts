import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { Collector, expectBalance, type Report } from '../support/collector.ts'
import {
  GOLDEN,
  goldenCaptures,
  goldenFrames,
  type InnerFrame,
  nestedFrames,
  tunnelCaptures,
} from '../support/oracle.ts'
import { requires, SHARED_CAPTURES, unmet } from '../support/requirements.ts'
import { type Frame, framesOf } from '../support/tshark.ts'

/** Captures on ports that belong to no encapsulation by convention. */
const LISTEN: Record<string, string[]> = {
  'packetnet/vxlan_custom_port.pcap': ['--listen', 'vxlan://:65530'],
}

/** Oracle rows of tunnels that carry a mirrored frame; the others are counted as `unknown-payload`. ORACLE-NOTES.md, number 8. */
const MIRRORED = /^(vxlan|vxlan-gpe|geneve|gre-ip4|gre-ip6|gre-teb|gre-teb-key|erspan-[123]|gre\(0x0806\))$/

/** tshark 4.0 does not dissect outer lengths of 0 (BIG TCP); the bytes behind the tunnel's header. ORACLE-NOTES.md, number 10. */
const BIG_TCP = [
  ['tcpdump/bigtcp-ipv4-vxlan-ipv4.pcap', 50],
  ['tcpdump/bigtcp-ipv4-vxlan-ipv6.pcap', 50],
  ['tcpdump/bigtcp-ipv6-vxlan-ipv4.pcap', 70],
  ['tcpdump/bigtcp-ipv4-geneve-ipv6.pcap', 50],
  ['tcpdump/bigtcp-ipv6-geneve-ipv4.pcap', 70],
  ['tcpdump/bigtcp-ipv6-geneve-ipv6.pcap', 70],
] as const

const YANET = [7, 13]

/** Frames that tshark shows and a decapsulator should not deliver, by number, with what is counted instead. */
const REFUSED: Record<string, { frames: number[]; dropped: Record<string, number> }> = {
  // A network service header is not a frame.
  'tcpdump/nsh-over-vxlan-gpe.pcap': { frames: [1], dropped: { 'unknown-payload': 1 } },
  // GRE with routing present, and versions other than 0: RFC 2784 section 2.3. ORACLE-NOTES.md, number 9.
  'yanet/007_decap_gre__send.pcap': { frames: YANET, dropped: { 'bad-flags': 1, 'unknown-payload': 2 } },
  'yanet/023_acl_decaps__002-send.pcap': { frames: YANET, dropped: { 'bad-flags': 1, 'unknown-payload': 2 } },
  // The outer packet ends with the tunnel's header: no frame was ever in it.
  'zeek/geneve-truncated.pcapng': { frames: [1], dropped: { 'short-frame': 1 } },
}

/** One tunnel, and all of them; two, where that is another thing than all. */
function depthsOf(path: string): string[] {
  const deepest = Math.max(0, ...nestedFrames(path).map((layers) => layers.length))
  return deepest > 2 ? ['1', '2', 'max'] : ['1', 'max']
}

/** The last layer of a frame in front of the first that is none: what is inside a tunnel that carries no frame stays there. */
function deepestMirrored(layers: readonly InnerFrame[], depth: string): InnerFrame | undefined {
  const end = layers.findIndex(({ encapsulation }) => !MIRRORED.test(encapsulation))
  const sound = end < 0 ? layers : layers.slice(0, end)
  return sound[Math.min(sound.length, depth === 'max' ? sound.length : Number(depth)) - 1]
}

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

/** Zeroes for addresses, and an EtherType: what is put in front of a payload that had no Ethernet header. */
const ETHERNET_HEADER = /^0{24}(0800|86dd|0806)/

/** The frame as the tunnel carried it: tshark's protocols tell whether it had an Ethernet header there. */
function asInTunnel(bytes: string, expected: InnerFrame | undefined): string {
  if (expected === undefined || expected.protocols.startsWith('eth')) return bytes
  expect(bytes).toMatch(ETHERNET_HEADER)
  return bytes.slice(28)
}

function sha256(hex: string): string {
  return createHash('sha256').update(Buffer.from(hex, 'hex')).digest('hex')
}

function timeOf({ seconds, nanoseconds }: Frame): string {
  return `${seconds}.${String(nanoseconds).padStart(9, '0')}`
}

describe('captures of other projects', () => {
  const it = requires('build', 'shared-captures', 'tshark')
  const paths = unmet('shared-captures').length > 0 ? ['(none)'] : tunnelCaptures()

  const everyDepth = paths.flatMap((path) => depthsOf(path).map((depth) => [path, depth] as const))

  it.each(everyDepth)('%s, --depth %s: what comes out is what tshark dissects, byte for byte', async (path, depth) => {
    const file = join(SHARED_CAPTURES, path)
    if (BIG_TCP.some(([big]) => big === path)) return
    const refused = REFUSED[path]
    const expected = nestedFrames(path)
      .map((layers) => deepestMirrored(layers, depth))
      .filter((frame) => frame !== undefined && !refused?.frames.includes(frame.frameNumber)) as InnerFrame[]
    const { report, out } = await decap(file, [...(LISTEN[path] ?? []), '--depth', depth])
    const frames = framesOf(out)
    expect(frames.map((frame, i) => sha256(asInTunnel(frame.bytes, expected[i])))).toEqual(
      expected.map((frame) => frame.sha256),
    )
    const outer = framesOf(file)
    expect(frames.map(timeOf)).toEqual(expected.map((frame) => timeOf(outer[frame.frameNumber - 1]!)))
    const ids: Record<string, number> = {}
    for (const { tunnelId = 0 } of expected) ids[String(tunnelId)] = (ids[String(tunnelId)] ?? 0) + 1
    expect(report.vnis).toEqual(ids)
    if (refused !== undefined) expect(report.dropped).toMatchObject(refused.dropped)
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
