import { expect, test } from 'vitest'
import { PeerTable } from '../../src/frames/peer-table.ts'
import { gapsIn } from '../../src/pipeline/mirror-sessions.ts'
import { requires } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'
import { hex } from '../wire/bytes.ts'
import { Line } from './line.ts'
import { innerFrame, ipv4 } from './packets.ts'

/** GRE with a key and a sequence number, RFC 2890. */
function numbered(key: number, sequence: number, source = '0a000001'): { bytes: Uint8Array } {
  const field = (value: number) => value.toString(16).padStart(8, '0')
  return { bytes: ipv4(`30006558${field(key)}${field(sequence)}${innerFrame(sequence)}`, { protocol: 47, source }) }
}

const gapsOf = (line: Line) => gapsIn(line.sessions, line.peers)

test('lost numbers are counted for each session of each peer; sessions without losses are not listed', async () => {
  const line = await Line.create({ engine: 'file' })
  line.process([1, 2, 5, 4].map((sequence) => numbered(7, sequence)))
  line.process([1, 9].map((sequence) => numbered(7, sequence, '0a000009')))
  line.process([1, 2, 3].map((sequence) => numbered(8, sequence)))
  const others = { encapsulation: 'gre', session: 7, duplicated: 0, restarts: 0 }
  expect(gapsOf(line)).toEqual([
    { ...others, peer: '10.0.0.9', lost: 7, reordered: 0 },
    { ...others, peer: '10.0.0.1', lost: 1, reordered: 1 },
  ])
})

test('a header without a sequence number tells nothing', async () => {
  const line = await Line.create({ engine: 'file' })
  line.process([1, 2].map((number) => ({ bytes: ipv4(`00006558${innerFrame(number)}`, { protocol: 47 }) })))
  expect(gapsOf(line)).toEqual([])
})

test('sessions beyond the table are delivered, and not followed', async () => {
  const line = await Line.create({ engine: 'file' })
  for (let key = 0; key < 1200; key += 200) {
    line.process(Array.from({ length: 200 }, (_, i) => numbered(key + i, 1)))
    line.process(Array.from({ length: 200 }, (_, i) => numbered(key + i, 3)))
  }
  expect([line.counters.delivered, gapsOf(line).length]).toEqual([2400, 1024])
  expect(PeerTable.reader(line.peers).text(2)).toBe('10.0.0.1')
})

const it = requires('scapy')

interface Stamped {
  readonly packet: string
  /** When the mirror saw the frame and when it came, nanoseconds after the first. */
  readonly seen: number
  readonly arrived: number
}

/**
 * Frames seen at irregular moments by a mirror whose clock counts in `tick` ns, has any number on it at first and is 40
 * ppm fast; they come some ms later, some of them behind later ones.
 */
function stamped(tick: number, granularity: number, fields: string, step: number): Stamped[] {
  return scapyLines<Stamped>(`
from scapy.contrib.erspan import *
random.seed(${tick} + ${granularity})
tick, step = ${tick}, ${step}
begin = random.randrange(1 << 60)
seen, rows = 0, []
for number in range(200):
    ticks = (begin + seen) // tick
    header, sub = ${fields}
    erspan = ERSPAN_III(session_id=9, gra=${granularity}, o=int(sub is not None), timestamp=header)
    outer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="10.0.0.1", dst="10.0.0.2")
    gre = outer / GRE(seqnum_present=1, seqence_number=number, proto=0x22eb) / erspan
    frame = raw(gre)[:-0 or None] + (sub if sub is not None else b"") + raw(Ether(type=0x88b5) / Raw(b"x" * 50))
    frame = raw(outer / Raw(frame[34:]))
    frame = frame[:23] + b"\\x2f" + frame[24:]
    real = int(seen * (1 - 40e-6))
    rows.append({"packet": frame.hex(), "seen": ticks * tick - begin // tick * tick, "arrived": real + (random.randrange(8000000) if number else 0)})
    seen += random.randrange(step)
rows.sort(key=lambda row: row["arrived"])
for row in rows:
    print(json.dumps(row))
`)
}

const LOWER = '(ticks & 0xffffffff, None)'
// Platform sub-headers: identifier in the first six bits, the upper word of the time in the last four bytes.
const upperWord = (platform: number) =>
  `(ticks & 0xffffffff, bytes([${platform << 2}, 0, 0, 1]) + (ticks >> 32 & 0xffffffff).to_bytes(4, "big"))`
const SECONDS = '(ticks % 10**9, bytes([5 << 2, 0, 0, 1]) + (ticks // 10**9 & 0xffffffff).to_bytes(4, "big"))'

it.each([
  ['100 us, over several ends of 32 bits', 100_000, 0, LOWER, 40_000e9],
  ['100 ns, over several ends', 100, 1, LOWER, 100e9],
  ['IEEE 1588 nanoseconds, 32 bits of them', 1, 2, LOWER, 1e9],
  ['IEEE 1588 nanoseconds within the second', 1, 2, '(ticks % 10**9, None)', 0.2e9],
  ['nanoseconds as users define them', 1, 3, LOWER, 1e9],
  ['100 ns with the upper word of platform 3', 100, 1, upperWord(3), 2e9],
  ['nanoseconds with the upper word of platform 7', 1, 3, upperWord(7), 3e9],
  ['nanoseconds with the upper word of platform 7, written as 0', 1, 3, upperWord(0), 3e9],
  ['IEEE 1588 with the seconds of platform 5, of no set clock', 1, 2, SECONDS, 3e9],
])("time stamps of %s are the mirror's, from the first arrival on", async (_, tick, granularity, fields, step) => {
  const line = await Line.create({ engine: 'file', timestamps: 'source' })
  const mirrored = stamped(tick, granularity, fields, step)
  line.process(
    mirrored.map(({ packet, arrived }) => ({
      bytes: hex(packet),
      second: 1_700_000_000 + Math.floor(arrived / 1e9),
      nanosecond: arrived % 1e9,
    })),
  )
  const got = line.frames.map(({ second, nanosecond }) => (second - 1_700_000_000) * 1e9 + nanosecond)
  expect(got).toEqual(mirrored.map(({ seen }) => seen - mirrored[0]!.seen))
})

interface Dated {
  readonly packet: string
}

/** Frames whose IEEE 1588 clock, with the seconds of `platform`, shows `moments`. */
function dated(platform: number, moments: readonly (readonly [seconds: number, nanoseconds: number])[]): string[] {
  return scapyLines<Dated>(`
from scapy.contrib.erspan import *
outer = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
for seconds, nanoseconds in ${JSON.stringify(moments)}:
    erspan = ERSPAN_III(session_id=9, gra=2, o=1, timestamp=nanoseconds)
    sub = ERSPAN_PlatformSpecific(platf_id=${platform}, info1=1, info2=seconds)
    print(json.dumps({"packet": raw(outer / IP(src="10.0.0.1", dst="10.0.0.2") / GRE(seqnum_present=1, proto=0x22eb) / erspan / sub / outer.copy() / Raw(b"x" * 50)).hex()}))
`).map(({ packet }) => packet)
}

const NOW = 1_800_000_000

it.each([
  ['UTC, 2 ms before the arrivals', 5, 0, 0],
  ['UTC, of platform 6', 6, 0, 0],
  ['UTC, a clock that is 4 s ahead', 5, 4, 0],
  ['TAI, 37 s ahead', 5, 37, 37],
  ['TAI of a clock that is 3 s late', 6, 34, 37],
])('seconds of IEEE 1588 are a date that is believed: %s', async (_, platform, ahead, leap) => {
  const moments = [0, 1, 2, 5, 3].map((second): [number, number] => [NOW + second + ahead, 999_000_000])
  const line = await Line.create({ engine: 'file', timestamps: 'source' })
  line.process(
    dated(platform, moments).map((packet, i) => ({ bytes: hex(packet), second: NOW + i + 1, nanosecond: 1_000_000 })),
  )
  expect(line.frames.map(({ second, nanosecond }) => [second, nanosecond])).toEqual(
    moments.map(([second, nanosecond]) => [second - leap, nanosecond]),
  )
})

it.each([
  ['1970', -NOW],
  ['20 s late', -20],
  ['20 s ahead', 20],
  ['50 s ahead', 50],
])('a date of a clock that nobody set is not believed: %s', async (_, ahead) => {
  const line = await Line.create({ engine: 'file', timestamps: 'source' })
  const moments = [0, 1].map((second): [number, number] => [NOW + second + ahead, 500])
  line.process(dated(5, moments).map((packet) => ({ bytes: hex(packet), second: NOW, nanosecond: 7 })))
  expect(line.frames.map(({ second, nanosecond }) => [second, nanosecond])).toEqual([
    [NOW, 7],
    [NOW + 1, 7],
  ])
})
