import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect } from 'vitest'
import { Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { requires, unmet } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'
import { send, vxlan } from '../support/sender.ts'
import { type Frame, framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

/**
 * What other tools that take tunnels off pass on unchanged, cut, pad, or die of. Scapy builds each outer packet around an
 * inner frame, and what must come out is that frame.
 */
interface Case {
  readonly name: string
  readonly file: string
  /** The inner frame's bytes that are there; none where nothing may come out. */
  readonly inner: string
  readonly wireLength: number
  /** Of the time in the file. */
  readonly nanoseconds: number
  readonly id: number
}

const SECOND = 1_700_000_000

const PROGRAM = `
from scapy.layers.vxlan import VXLAN
from scapy.contrib.geneve import GENEVE
from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
conf.verb = 0
frame = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")/IP(src="192.0.2.1", dst="192.0.2.2")/UDP(sport=1000, dport=2000)/Raw(bytes(range(200)))
tagged = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")/Dot1Q(vlan=77, prio=5)/IP(src="192.0.2.1", dst="192.0.2.2")/UDP(sport=1000, dport=2000)/Raw(bytes(range(200)))
frame, tagged = raw(frame), raw(tagged)
ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
v4 = IP(src="10.0.0.1", dst="10.0.0.2")
udp = lambda port: UDP(sport=49152, dport=port, chksum=0)
vx = lambda vni, **more: VXLAN(vni=vni, flags="Instance", **more)
gre = lambda **more: GRE(**more)
cases = [
    ("VXLAN over IPv4", ether/v4/udp(4789)/vx(1)/Raw(frame), frame, 1, {}),
    ("VXLAN over IPv6", ether/IPv6(src="2001:db8::1", dst="2001:db8::2")/UDP(sport=49152, dport=4789)/vx(2)/Raw(frame), frame, 2, {}),
    ("group policy flags, 0x88", ether/v4/udp(4789)/VXLAN(flags="Instance+G", gpid=300, vni=3)/Raw(frame), frame, 3, {}),
    ("UDP port 8472", ether/v4/udp(8472)/vx(4)/Raw(frame), frame, 4, {}),
    ("a VLAN tag outside", ether/Dot1Q(vlan=9)/v4/udp(4789)/vx(5)/Raw(frame), frame, 5, {}),
    ("a VLAN tag inside", ether/v4/udp(4789)/vx(6)/Raw(tagged), tagged, 6, {}),
    ("cut at 96 bytes by the capture", ether/v4/udp(4789)/vx(7)/Raw(frame), frame, 7, {"snaplen": 96}),
    ("Geneve", ether/v4/udp(6081)/GENEVE(vni=8, proto=0x6558)/Raw(frame), frame, 8, {}),
    ("GRE in UDP", ether/v4/udp(4754)/gre(key_present=1, key=9, proto=0x6558)/Raw(frame), frame, 9, {}),
    ("VXLAN-GPE", ether/v4/udp(4790)/VXLAN(flags="Instance+NextProtocol", NextProtocol=3, vni=10)/Raw(frame), frame, 10, {}),
    ("GRE with a key, as gretap sends", ether/v4/gre(key_present=1, key=11, proto=0x6558)/Raw(frame), frame, 11, {}),
    ("ERSPAN I", ether/v4/gre(proto=0x88be)/Raw(frame), frame, 0, {}),
    ("ERSPAN II", ether/v4/gre(seqnum_present=1, proto=0x88be)/ERSPAN_II(ver=1, session_id=13)/Raw(frame), frame, 13, {}),
    ("ERSPAN III without a subheader", ether/v4/gre(seqnum_present=1, proto=0x22eb)/ERSPAN_III(session_id=14)/Raw(frame), frame, 14, {}),
    ("ERSPAN III with a subheader", ether/v4/gre(seqnum_present=1, proto=0x22eb)/ERSPAN_III(session_id=15, o=1)/ERSPAN_PlatformSpecific()/Raw(frame), frame, 15, {}),
    ("VXLAN in VXLAN", ether/v4/udp(4789)/vx(99)/ether/v4/udp(4789)/vx(16)/Raw(frame), frame, 16, {}),
    ("a UDP payload of 3 bytes", ether/v4/udp(4789)/Raw(b"abc"), None, 0, {}),
    ("a file with nanoseconds", ether/v4/udp(4789)/vx(18)/Raw(frame), frame, 18, {"nano": True}),
    ("a big-endian file", ether/v4/udp(4789)/vx(19)/Raw(frame), frame, 19, {"endianness": ">"}),
    ("a big-endian file with nanoseconds", ether/v4/udp(4789)/vx(20)/Raw(frame), frame, 20, {"endianness": ">", "nano": True}),
]
for number, (name, packet, inner, vni, how) in enumerate(cases):
    file = f"FOLDER/{number}.pcap"
    data = raw(packet)
    snaplen = how.pop("snaplen", 65535)
    writer = RawPcapWriter(file, linktype=1, **how)
    writer.write_header(None)
    writer.write_packet(data[:snaplen], sec=1700000000, usec=123456789 if how.get("nano") else 123456, caplen=min(snaplen, len(data)), wirelen=len(data))
    writer.close()
    there = b"" if inner is None else inner[:len(inner) - max(0, len(data) - snaplen)]
    print(json.dumps({"name": name, "file": file, "inner": there.hex(), "wireLength": len(inner or b""), "nanoseconds": 123456789 if how.get("nano") else 123456000, "id": vni}))
`

let folder = ''
let cases: readonly Case[] = []
let running: Collector | undefined
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'awkward-'))
  if (unmet('scapy').length === 0) cases = scapyLines<Case>(PROGRAM.replaceAll('FOLDER', folder))
})
afterEach(async () => {
  await running?.dispose()
  running = undefined
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const it = requires('build', 'scapy', 'tshark', 'editcap')

async function decap(file: string, out: string, ...args: string[]): Promise<{ report: Report; frames: Frame[] }> {
  running = new Collector(['decap', file, '--out', `pcap:${out}`, '--depth', 'max', ...args])
  expect({ exit: await running.exit(), stderr: running.stderr }).toMatchObject({ exit: 0 })
  const report = running.report()
  await running.dispose()
  expectBalance(report)
  return { report, frames: framesOf(out) }
}

it('every tunnel is taken off, nothing else is, and lengths and times stay', { timeout: 120_000 }, async () => {
  expect(cases).toHaveLength(20)
  const found: Record<string, unknown> = {}
  const expected: Record<string, unknown> = {}
  for (const { name, file, inner, wireLength, nanoseconds, id } of cases) {
    const { report, frames } = await decap(file, `${file}.out`)
    const frame = { seconds: SECOND, nanoseconds, captured: inner.length / 2, wireLength, bytes: inner }
    expected[name] = inner === '' ? { frames: [], vnis: {} } : { frames: [frame], vnis: { [id]: 1 } }
    found[name] = { frames, vnis: report.vnis }
  }
  expect(found).toEqual(expected)
})

it('what is no tunnel is counted, not passed on, and can be kept', async () => {
  const short = cases.find(({ inner }) => inner === '')
  const kept = join(folder, 'refused.pcapng')
  const { report, frames } = await decap(short!.file, join(folder, 'none.pcap'), '--quarantine', kept)
  expect(frames).toEqual([])
  expect(report).toMatchObject({ received: 1, delivered: 0, dropped: { 'short-header': 1 } })
  expect(framesOf(kept).map(({ bytes }) => bytes)).toEqual(framesOf(short!.file).map(({ bytes }) => bytes))
})

it('a pcapng file, as editcap writes it', async () => {
  const [first] = cases
  const file = join(folder, 'first.pcapng')
  output('editcap', '-F', 'pcapng', first!.file, file)
  expect(readFileSync(file).readUInt32BE(0)).toBe(0x0a0d0d0a)
  const { frames } = await decap(file, join(folder, 'from-pcapng.pcap'))
  expect(frames.map(({ bytes }) => bytes)).toEqual([first!.inner])
})

describe('live', () => {
  const frame = (length: number): Buffer => Buffer.alloc(length, 0x5a)

  it('a frame of 8000 bytes comes out whole, and a datagram of 3 bytes harms nobody', async () => {
    const out = join(folder, 'live.pcap')
    running = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', `pcap:${out}`])
    const collector = running
    await send([Buffer.from('abc'), vxlan(7, frame(8000)), Buffer.alloc(0), vxlan(7, frame(60))], running.ports[0]!)
    await until('all have arrived', async () => (await collector.statistics()).received === 4)
    expect(await running.stop()).toBe(0)
    expectBalance(running.report())
    expect(running.report()).toMatchObject({ delivered: 2, dropped: { 'short-header': 2 }, kernelDropped: 0 })
    expect(framesOf(out).map(({ captured, wireLength }) => [captured, wireLength])).toEqual([
      [8000, 8000],
      [60, 60],
    ])
  })

  it('a list of identifiers lets in what it names, and nothing that it does not', async () => {
    running = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--vni', '100,!200', '--out', 'null'])
    const collector = running
    await send([vxlan(100, frame(60)), vxlan(200, frame(60)), vxlan(300, frame(60))], running.ports[0]!)
    await until('all have arrived', async () => (await collector.statistics()).received === 3)
    expect(await running.stop()).toBe(0)
    expect(running.report()).toMatchObject({ vnis: { 100: 1 }, dropped: { 'vni-not-allowed': 2 } })
  })

  it('a list that can be read in two ways is refused, with the reason', async () => {
    running = new Collector(['--vni', '100 -200', '--out', 'null'])
    expect(await running.exit()).toBe(64)
    expect(running.stderr).toMatch(/--vni/)
  })
})
