import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CaptureReader } from '../../src/pcap-writer/reader.ts'
import { GOLDEN } from '../support/oracle.ts'
import { memoryFeed, packetColumns, type ReadCapture, type ReadOptions, readAll } from '../support/read-all.ts'

function hex(...parts: string[]): Buffer {
  return Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')
}

function read(bytes: Uint8Array, options?: ReadOptions): Promise<ReadCapture> {
  return readAll(memoryFeed(bytes), options)
}

// draft-ietf-opsawg-pcap, written by hand: magic, version 2.4, zone, accuracy, snap length, link type.
const BIG_HEADER = '0002 0004 00000000 00000000 00040000'
const LITTLE_HEADER = '0200 0400 00000000 00000000 00000400'
const BIG_RECORD = '65000001 00000007 00000003 00000009 aabbcc'
const LITTLE_RECORD = '01000065 07000000 03000000 09000000 aabbcc'
const PACKET = { seconds: 0x65000001, captured: 3, wireLength: 9, linkType: 1, bytes: 'aabbcc' }

describe('pcap', () => {
  test.each([
    ['big-endian, microseconds', ['a1b2c3d4', BIG_HEADER, '00000001', BIG_RECORD], 7000],
    ['little-endian, microseconds', ['d4c3b2a1', LITTLE_HEADER, '01000000', LITTLE_RECORD], 7000],
    ['big-endian, nanoseconds', ['a1b23c4d', BIG_HEADER, '00000001', BIG_RECORD], 7],
    ['little-endian, nanoseconds', ['4d3cb2a1', LITTLE_HEADER, '01000000', LITTLE_RECORD], 7],
  ])('%s', async (_name, parts, nanoseconds) => {
    const { frames, problem } = await read(hex(...parts))
    expect(problem).toBeUndefined()
    expect(frames).toEqual([{ ...PACKET, nanoseconds }])
  })

  test("a modified file's records have eight bytes more before the packet", async () => {
    const record = '65000001 00000007 00000003 00000009 00000002 0800 00 00 aabbcc'
    const { frames, problem } = await read(hex('a1b2cd34', BIG_HEADER, '00000001', record, record))
    expect(problem).toBeUndefined()
    expect(frames).toEqual([0, 0].map(() => ({ ...PACKET, nanoseconds: 7000 })))
  })

  test.each([
    ['4 bytes of frame check sequence', '24000001', 1],
    ['a link type of 16 bits', '0000ffff', 65535],
  ])('the link type is told apart from %s', async (_name, field, linkType) => {
    const { frames } = await read(hex('a1b2c3d4', BIG_HEADER, field, BIG_RECORD))
    expect(frames).toEqual([{ ...PACKET, linkType, nanoseconds: 7000 }])
  })

  test.each([
    ['microseconds that run past a second carry over', '00000001 00200b20', 3, 100_000_000],
    ['the last second that 32 bits hold is not passed', 'ffffffff ffffffff', 0xffffffff, 967_295_000],
  ])('%s', async (_name, time, seconds, nanoseconds) => {
    const { frames } = await read(hex('a1b2c3d4', BIG_HEADER, '00000001', time, '00000000 00000000'))
    expect(frames).toEqual([{ seconds, nanoseconds, captured: 0, wireLength: 0, linkType: 1, bytes: '' }])
  })

  test('the length on the wire is never less than what was captured', async () => {
    const { frames } = await read(hex('a1b2c3d4', BIG_HEADER, '00000001', '00000000 00000000 00000003 00000002 aabbcc'))
    expect(frames[0]!.wireLength).toBe(3)
  })

  test.each([
    ['no bytes at all', [''], { offset: 0, reason: 'empty: not even a file header' }],
    ['a cut magic', ['a1b2'], { offset: 0, reason: 'cut inside the file header' }],
    ['a cut header', ['a1b2c3d4', BIG_HEADER, '0000'], { offset: 0, reason: 'cut inside the file header' }],
    ['another magic', ['7f454c46', BIG_HEADER], { offset: 0, reason: 'unknown magic 0x7f454c46' }],
    [
      'another version',
      ['a1b2c3d4 0003'.padEnd(50, '0')],
      { offset: 0, reason: 'pcap version 3; version 2 can be read' },
    ],
  ])('%s is a problem, and no packet', async (_name, parts, problem) => {
    expect(await read(hex(...parts))).toMatchObject({ frames: [], problem })
  })

  test('a record larger than the window ends the reading behind the packets before it', async () => {
    const lying = '65000001 00000007 b2d05e00 b2d05e00'
    const { frames, problem } = await read(hex('a1b2c3d4', BIG_HEADER, '00000001', BIG_RECORD, lying, BIG_RECORD))
    expect(frames).toEqual([{ ...PACKET, nanoseconds: 7000 }])
    expect(problem).toEqual({ offset: 24 + 19, reason: 'record of 3000000000 bytes; at most 1048560 can be read' })
  })

  test('a packet that fills the window is read', async () => {
    const data = Buffer.alloc(1000 - 16, 0x5a)
    const file = Buffer.concat([hex('a1b2c3d4', BIG_HEADER, '00000001', '00000000 00000000 000003d8 000003d8'), data])
    expect((await read(file, { windowLength: 1000 })).frames[0]!.bytes).toBe(data.toString('hex'))
    const { problem } = await read(file, { windowLength: 999 })
    expect(problem).toEqual({ offset: 24, reason: 'record of 984 bytes; at most 983 can be read' })
  })
})

const KERNEL = readFileSync(`${GOLDEN}kernel-ipv4.pcap`)

describe('reading in pieces', () => {
  test('every cut of a file gives the packets before the cut, and says where it is cut', async () => {
    const whole = (await read(KERNEL)).frames
    const ends = whole.map(
      (_frame, i) => 24 + whole.slice(0, i + 1).reduce((sum, frame) => sum + 16 + frame.captured, 0),
    )
    expect(ends.at(-1)).toBe(KERNEL.length)
    for (let length = 1; length <= KERNEL.length; length++) {
      const complete = ends.filter((end) => end <= length).length
      const { frames, problem } = await read(KERNEL.subarray(0, length))
      expect(frames).toEqual(whole.slice(0, complete))
      const start = length < 24 ? 0 : (ends[complete - 1] ?? 24)
      if (start === length) expect(problem).toBeUndefined()
      else
        expect(problem).toEqual({ offset: start, reason: `cut inside ${length < 24 ? 'the file header' : 'a record'}` })
    }
  })

  test('windows of every size and feeds of every portion give the same packets', async () => {
    const whole = (await read(KERNEL)).frames
    const largest = 16 + Math.max(...whole.map((frame) => frame.captured))
    for (let extra = 0; extra < 450; extra++) {
      expect((await read(KERNEL, { windowLength: largest + extra })).frames).toEqual(whole)
    }
    for (let atOnce = 1; atOnce < 450; atOnce++) {
      expect((await readAll(memoryFeed(KERNEL, atOnce), { windowLength: largest })).frames).toEqual(whole)
    }
  })

  test('never more rows than asked for', async () => {
    const whole = (await read(KERNEL)).frames
    for (let maxRows = 1; maxRows <= whole.length + 1; maxRows++) {
      expect((await read(KERNEL, { maxRows })).frames).toEqual(whole)
    }
  })

  test('a synchronous feed is answered synchronously', () => {
    const reader = new CaptureReader(memoryFeed(KERNEL), new ArrayBuffer(65536), 0, 65536)
    const columns = packetColumns(100)
    expect([reader.next(columns, 100), reader.next(columns, 100), reader.next(columns, 100)]).toEqual([5, 0, 0])
    expect(reader.problem).toBeUndefined()
    expect(reader.bytesRead).toBe(KERNEL.length)
  })

  test("a feed's error reaches the caller", async () => {
    const error = Object.assign(new Error('EIO'), { code: 'EIO' })
    const failing = { close() {}, read: (): Promise<number> => Promise.reject(error) }
    await expect(readAll(failing)).rejects.toBe(error)
  })

  test('a window too small for any header is refused', () => {
    expect(() => new CaptureReader(memoryFeed(KERNEL), new ArrayBuffer(100), 0, 63)).toThrow(RangeError)
  })

  test('nothing is allocated per packet', () => {
    const records = Buffer.concat(Array.from({ length: 20_000 }, () => KERNEL.subarray(24)))
    const columns = packetColumns(1_000)
    const memory = new ArrayBuffer(1 << 20)
    const readOnce = (): number => {
      const header = memoryFeed(KERNEL.subarray(0, 24))
      const rest = memoryFeed(records)
      const feed = { close() {}, read: (into: Uint8Array) => (header.read(into) as number) || rest.read(into) }
      const reader = new CaptureReader(feed, memory, 0, memory.byteLength)
      let packets = 0
      for (let rows = reader.next(columns, 1_000) as number; rows > 0; rows = reader.next(columns, 1_000) as number)
        packets += rows
      return packets
    }
    for (let warmUp = 0; warmUp < 3; warmUp++) readOnce()
    const before = process.memoryUsage().heapUsed
    expect(readOnce()).toBe(100_000)
    // The smallest object, one for each packet, would be 1.6 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(400_000)
  })
})
