import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PcapFormat } from '../../src/pcap-writer/pcap-format.ts'
import { PcapngFormat } from '../../src/pcap-writer/pcapng-format.ts'
import { countRecords, type RecordFormat, recordsBefore, recordsUntil } from '../../src/pcap-writer/record-format.ts'
import { requires, scapyPython } from '../support/requirements.ts'
import { type Frame, frame } from './records.frames.ts'
import { records, tcpdump, temporaryFolder, tshark } from './records.ts'

const FRAMES: Frame[] = [
  { ...frame(1, 1_700_000_000), nanoseconds: 0 },
  { ...frame(2, 1_700_000_000, 61, 1514), nanoseconds: 1 },
  { ...frame(3, 1_700_000_001, 62), nanoseconds: 999_999_999 },
  { ...frame(4, 2 ** 31 - 1, 63), nanoseconds: 123_456_789 },
  { ...frame(5, 2 ** 31, 80_000), nanoseconds: 5 },
]

function written(format: RecordFormat, frames: Frame[]): string {
  const path = join(temporaryFolder(), `file.${format.name}`)
  const parts = [format.fileHeader(), format.interfaceBlock('if0', 'the first'), records(format, frames)]
  writeFileSync(path, Buffer.concat(parts))
  return path
}

const time = ({ seconds, nanoseconds }: Frame): string => `${seconds}.${`${nanoseconds}`.padStart(9, '0')}`

requires('tshark').each([new PcapFormat(), new PcapngFormat()])(
  'tshark reads from $name the times to the nanosecond, both lengths and the bytes',
  (format) => {
    const told = tshark(written(format, FRAMES), 'frame.time_epoch', 'frame.cap_len', 'frame.len', 'data.data')
    expect(told).toEqual(
      FRAMES.map((f) =>
        [time(f), f.bytes.length, f.wireLength, Buffer.from(f.bytes.subarray(14)).toString('hex')].join('\t'),
      ),
    )
  },
)

requires('tcpdump').each([new PcapFormat(), new PcapngFormat()])('tcpdump reads every record of $name', (format) => {
  // tcpdump 4.99 prints no times behind January 2038; tshark does.
  const frames = FRAMES.map((f) => ({ ...f, seconds: Math.min(f.seconds, 2 ** 31 - 1) }))
  const told = tcpdump(written(format, frames)).filter((line) => line.includes('ethertype'))
  expect(told.map((line) => line.split(' ')[0])).toEqual(frames.map(time))
  expect(told.map((line) => Number(/length (\d+):/.exec(line)![1]))).toEqual(frames.map((f) => f.wireLength))
})

requires('tshark')('pcap with microseconds cuts the nanoseconds off', () => {
  const told = tshark(written(new PcapFormat({ precision: 'us' }), FRAMES), 'frame.time_epoch')
  expect(told).toEqual(FRAMES.map((f) => `${time(f).slice(0, -3)}000`))
})

const SCAPY = `
import sys
from scapy.all import RawPcapWriter
writer = RawPcapWriter(sys.argv[1], linktype=1, nano=sys.argv[2] == 'ns', endianness='<', snaplen=262144)
writer.write_header(b'')
for line in sys.stdin:
    seconds, fraction, wire, data = line.split()
    frame = bytes.fromhex(data)
    writer.write_packet(frame, sec=int(seconds), usec=int(fraction), caplen=len(frame), wirelen=int(wire))
writer.close()
`

requires('scapy').each(['ns', 'us'] as const)(
  'a pcap file with %s is the one that scapy writes, byte for byte',
  (precision) => {
    const theirs = join(temporaryFolder(), 'scapy.pcap')
    const input = FRAMES.map((f) => {
      const fraction = precision === 'ns' ? f.nanoseconds : Math.trunc(f.nanoseconds / 1000)
      return `${f.seconds} ${fraction} ${f.wireLength} ${Buffer.from(f.bytes).toString('hex')}`
    })
    execFileSync(scapyPython()!, ['-c', SCAPY, theirs, precision], {
      input: input.join('\n'),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    expect(readFileSync(written(new PcapFormat({ precision }), FRAMES)).equals(readFileSync(theirs))).toBe(true)
  },
)

requires('editcap', 'tshark')('the packet blocks of a pcapng file are those that editcap writes, byte for byte', () => {
  const format = new PcapngFormat()
  const theirs = join(temporaryFolder(), 'editcap.pcapng')
  execFileSync('editcap', ['-F', 'pcapng', written(new PcapFormat(), FRAMES), theirs], { stdio: 'pipe' })
  const ours = Buffer.from(records(format, FRAMES))
  const file = readFileSync(theirs)
  expect(file.subarray(file.length - ours.length).equals(ours)).toBe(true)
})

// draft-ietf-opsawg-pcapng sections 4.1, 4.2, 4.6, written out by hand.
test('the section header tells its version, no length, and the program', () => {
  expect(Buffer.from(new PcapngFormat().fileHeader()).toString('hex')).toBe(
    `0a0d0d0a34000000${'4d3c2b1a01000000'}${'f'.repeat(16)}04001000${Buffer.from('mirror-collector').toString('hex')}0000000034000000`,
  )
})

test('the interface description tells link type, snap length, name, description and nanoseconds', () => {
  const block = new PcapngFormat({ linkType: 101, snapLength: 128 }).interfaceBlock('abc', 'de')
  expect(Buffer.from(block).toString('hex')).toBe(
    '0100000030000000' +
      '6500000080000000' +
      '0200030061626300' +
      '0300020064650000' +
      '0900010009000000' +
      '0000000030000000',
  )
})

test('the interface statistics tell five values of 64 bits', () => {
  const block = new PcapngFormat().statisticsBlock(3, {
    startSeconds: 1,
    startNanoseconds: 2,
    endSeconds: 4_294_967_295,
    endNanoseconds: 999_999_999,
    received: 2 ** 40 + 1,
    dropped: 6,
    kernelDropped: 7,
  })
  // 1 000 000 002 = 0x3b9aca02; 4 294 967 295 999 999 999 = 0x3b9ac9ff_ffffffff.
  expect(Buffer.from(block).toString('hex')).toBe(
    '0500000058000000' +
      '03000000ffc99a3bffffffff' +
      '020008000000000002ca9a3b' +
      '03000800ffc99a3bffffffff' +
      '040008000100000000010000' +
      '050008000600000000000000' +
      '070008000700000000000000' +
      '0000000058000000',
  )
})

test('times in pcapng are those that integers of any size give', () => {
  const format = new PcapngFormat()
  // Where the lower half of the time wraps, on either side, with seconds spread over all that there are; and where the doubles
  // that such numbers are rounded to lie closer on one side than on the other.
  for (let i = 0; i < 20_000; i++) {
    const wrap = ((BigInt(Math.imul(i, 0x9e3779b1) >>> 0) * 1_000_000_000n) >> 32n) << 32n
    for (const total of [wrap, wrap - 1n, wrap + BigInt(i), 2n ** 61n + BigInt(i)]) {
      if (total < 0n) continue
      const [seconds, nanoseconds] = [Number(total / 1_000_000_000n), Number(total % 1_000_000_000n)]
      const view = new DataView(records(format, [{ ...frame(0, seconds), nanoseconds }]).buffer)
      // Section 4.3: the upper 32 bits first.
      expect((BigInt(view.getUint32(12, true)) << 32n) | BigInt(view.getUint32(16, true))).toBe(total)
    }
  }
})

test.each([new PcapFormat(), new PcapngFormat()])(
  '$name gives back the time of a record at the ends of its range',
  (format) => {
    for (const [seconds, nanoseconds] of [
      [0, 0],
      [0, 999_999_999],
      [1, 0],
      [65_535, 999_999_999],
      [65_536, 0],
      [4_294_967_295, 999_999_999],
    ] as const) {
      const view = new DataView(records(format, [{ ...frame(0, seconds), nanoseconds }]).buffer)
      expect([format.secondsAt(view, 0), format.nanosecondsAt(view, 0)]).toEqual([seconds, nanoseconds])
    }
  },
)

test.each([new PcapFormat(), new PcapngFormat()])(
  'records of $name are counted and cut on their boundaries',
  (format) => {
    const frames = [frame(0, 10, 60), frame(1, 11, 61), frame(2, 12, 62)]
    const bytes = records(format, frames)
    const view = new DataView(bytes.buffer)
    const first = format.recordBytes(60)
    const second = first + format.recordBytes(61)
    expect(countRecords(format, view, 0, bytes.length)).toBe(3)
    expect(recordsBefore(format, view, 0, bytes.length, first)).toBe(first)
    expect(recordsBefore(format, view, 0, bytes.length, second - 1)).toBe(first)
    expect(recordsBefore(format, view, 0, bytes.length, 0)).toBe(0)
    expect(recordsBefore(format, view, 0, bytes.length, bytes.length)).toBe(bytes.length)
    expect(recordsUntil(format, view, 0, bytes.length, 12)).toBe(second)
    expect(recordsUntil(format, view, 0, bytes.length, 10)).toBe(0)
    expect(recordsUntil(format, view, 0, bytes.length, 13)).toBe(bytes.length)
  },
)

test.each([0, 262_145, 1.5])('a snap length of %s is refused', (snapLength) => {
  expect(() => new PcapFormat({ snapLength })).toThrow(RangeError)
})
