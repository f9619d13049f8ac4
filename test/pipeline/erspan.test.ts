import { expect } from 'vitest'
import { requires } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'
import { hex } from '../wire/bytes.ts'
import type { LineSettings } from './line.ts'
import { Line } from './line.ts'

const it = requires('scapy')

interface Mirrored {
  readonly packet: string
  readonly frame: string
  readonly tag: number
  readonly cut: boolean
}

/** Scapy's frames with a tag, without it, and behind scapy's ERSPAN II header that says so. */
const PROGRAM = `
from scapy.contrib.erspan import *
random.seed(88)
for number in range(80):
    en = number % 4
    vlan, cos = random.randrange(4096), random.randrange(8)
    cut = number % 5 == 0
    addresses = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")
    inner = random.choice([
        IP(src="10.1.0.1", dst="10.1.0.2") / UDP(dport=9) / Raw(random.randbytes(60)),
        Dot1Q(vlan=7) / IP(src="10.1.0.1", dst="10.1.0.2") / UDP(dport=9) / Raw(random.randbytes(60)),
        ARP(psrc="10.1.0.1", pdst="10.1.0.2"),
    ])
    sent = addresses / inner
    mirrored = addresses / Dot1Q(vlan=vlan, prio=cos) / inner if en == 2 else sent
    erspan = ERSPAN_II(ver=1, vlan=vlan, cos=cos, en=en, t=int(cut), session_id=5)
    outer = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / GRE(seqnum_present=1, seqence_number=number, proto=0x88be)
    print(json.dumps({"packet": raw(outer / erspan / sent).hex(), "frame": raw(mirrored).hex(), "tag": en, "cut": cut}))
`

async function rebuilt(packets: readonly string[], settings: Partial<LineSettings> = {}): Promise<Line> {
  const line = await Line.create({ engine: 'file', ...settings })
  line.process(packets.map((bytes) => ({ bytes: hex(bytes) })))
  return line
}

it("ERSPAN's VLAN goes back into the frame where its header says that the tag was taken out, and only there", async () => {
  const mirrored = scapyLines<Mirrored>(PROGRAM)
  const line = await rebuilt(mirrored.map(({ packet }) => packet))
  expect(line.frames.map(({ bytes }) => bytes)).toEqual(mirrored.map(({ frame }) => frame))
  expect(line.vnis).toEqual({ 5: mirrored.length })
})

it('a frame that the mirror says it cut is longer on the wire than what is there, and counted', async () => {
  const mirrored = scapyLines<Mirrored>(PROGRAM)
  const line = await rebuilt(mirrored.map(({ packet }) => packet))
  line.frames.forEach(({ bytes, wireLength }, i) => {
    expect(wireLength).toBe(bytes.length / 2 + (mirrored[i]!.cut ? 1 : 0))
  })
  expect(line.counters.cutAtSource).toBe(mirrored.filter(({ cut }) => cut).length)
})

/** Behind ERSPAN III, whose VLAN is that of the frame's tag, of the port that took it untagged, or anything. */
const TYPE_III = `
from scapy.contrib.erspan import *
random.seed(33)
for number in range(64):
    vlan, cos = random.randrange(1, 4096), random.randrange(8)
    addresses = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04")
    packet = IP(src="10.1.0.1", dst="10.1.0.2") / UDP(dport=9) / Raw(random.randbytes(60))
    tag = Dot1Q(vlan=vlan if number % 3 == 0 else random.randrange(4096), prio=cos)
    sent = addresses / packet if number % 2 == 0 else addresses / tag / packet
    erspan = ERSPAN_III(vlan=vlan, cos=cos, bso=number % 4, session_id=5, gra=0, o=0)
    outer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2")
    outer = outer / GRE(seqnum_present=1, seqence_number=number, proto=0x22eb)
    print(json.dumps({"packet": raw(outer / erspan / sent).hex(), "frame": raw(sent).hex(), "tag": 0, "cut": False}))
`

it("ERSPAN III's VLAN makes no tag: its header does not say that one was taken out, and where En was are other bits", async () => {
  const mirrored = scapyLines<Mirrored>(TYPE_III)
  const line = await rebuilt(mirrored.map(({ packet }) => packet))
  expect(line.frames.map(({ bytes }) => bytes)).toEqual(mirrored.map(({ frame }) => frame))
})

interface Checked {
  readonly packet: string
  readonly whole: string
  readonly bare: string
}

/** Frames with the CRC32 that Python's zlib gives them, behind ERSPAN II; with a tag that was taken out after the CRC was made, or before. */
const WITH_FCS = `
from scapy.contrib.erspan import *
import zlib
random.seed(99)
for number in range(60):
    tagged, before = number % 3 == 0, number % 2 == 0
    addresses = raw(Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04"))[:12]
    rest = random.choice([
        raw(Ether() / IP() / UDP(dport=9) / Raw(random.randbytes(80)))[12:],
        raw(Ether() / IP() / UDP(dport=9) / Raw(b"x"))[12:].ljust(48, b"\\0"),
        raw(Ether(type=0x88b5) / Raw(random.randbytes(50)))[12:],
    ])
    whole = addresses + (bytes.fromhex("8100a064") if tagged else b"") + rest
    covered = whole if before else addresses + rest
    fcs = zlib.crc32(covered).to_bytes(4, "little")
    erspan = ERSPAN_II(ver=1, vlan=100, cos=5, en=2 if tagged else 3, session_id=5)
    outer = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / GRE(seqnum_present=1, seqence_number=number, proto=0x88be)
    print(json.dumps({"packet": raw(outer / erspan / Raw(addresses + rest + fcs)).hex(), "whole": (whole + fcs).hex(), "bare": whole.hex()}))
`

it('a frame check sequence stays unless it is not wanted, and is known by its fit', async () => {
  const checked = scapyLines<Checked>(WITH_FCS)
  const packets = checked.map(({ packet }) => packet)
  const frames = async (fcs: 'keep' | 'auto' | 'strip') => (await rebuilt(packets, { fcs })).frames
  expect((await frames('keep')).map(({ bytes }) => bytes)).toEqual(checked.map(({ whole }) => whole))
  for (const fcs of ['auto', 'strip'] as const) {
    const stripped = await frames(fcs)
    expect(stripped.map(({ bytes }) => bytes)).toEqual(checked.map(({ bare }) => bare))
    expect(stripped.every(({ bytes, wireLength }) => wireLength === bytes.length / 2)).toBe(true)
  }
})

it('what is no frame check sequence stays, however it is asked for', async () => {
  const mirrored = scapyLines<Mirrored>(PROGRAM).filter(({ tag, frame }) => tag === 0 && frame.slice(24, 28) === '0800')
  const line = await rebuilt(
    mirrored.map(({ packet }) => packet),
    { fcs: 'strip' },
  )
  expect(line.frames.map(({ bytes }) => bytes)).toEqual(mirrored.map(({ frame }) => frame))
})
