import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { memoryFeed, type ReadCapture, type ReadFrame, readAll } from '../support/read-all.ts'
import { requires } from '../support/requirements.ts'
import { framesOf } from '../support/tshark.ts'

const folder = mkdtempSync(join(tmpdir(), 'reader-pcapng-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Writes blocks by draft-ietf-opsawg-pcapng in one byte order; tshark reads them too, below. */
class Section {
  readonly #little: boolean

  constructor(order: 'little-endian' | 'big-endian') {
    this.#little = order === 'little-endian'
  }

  u16(...values: number[]): Buffer {
    return Buffer.concat(values.map((value) => this.#number(2, value)))
  }

  u32(...values: number[]): Buffer {
    return Buffer.concat(values.map((value) => this.#number(4, value)))
  }

  block(type: number, ...parts: Buffer[]): Buffer {
    const body = Buffer.concat(parts)
    const padded = Buffer.concat([body, Buffer.alloc(-body.length & 3)])
    const length = this.u32(padded.length + 12)
    return Buffer.concat([this.u32(type), length, padded, length])
  }

  header(major = 1): Buffer {
    return this.block(0x0a0d0d0a, this.u32(0x1a2b3c4d), this.u16(major, 0), this.u32(0xffffffff, 0xffffffff))
  }

  option(code: number, value: Buffer): Buffer {
    return Buffer.concat([this.u16(code, value.length), value, Buffer.alloc(-value.length & 3)])
  }

  interface(linkType: number, snapLength: number, ...options: Buffer[]): Buffer {
    return this.block(1, this.u16(linkType, 0), this.u32(snapLength), ...options)
  }

  resolution(value: number): Buffer {
    return this.option(9, Buffer.from([value]))
  }

  timeOffset(seconds: number): Buffer {
    const value = Buffer.alloc(8)
    if (this.#little) value.writeBigInt64LE(BigInt(seconds))
    else value.writeBigInt64BE(BigInt(seconds))
    return this.option(14, value)
  }

  enhanced(index: number, stamp: bigint, packet: Buffer, original = packet.length): Buffer {
    const time = this.u32(Number(stamp >> 32n), Number(stamp & 0xffff_ffffn))
    return this.block(6, this.u32(index), time, this.u32(packet.length, original), packet)
  }

  obsolete(index: number, stamp: bigint, packet: Buffer): Buffer {
    const time = this.u32(Number(stamp >> 32n), Number(stamp & 0xffff_ffffn))
    return this.block(2, this.u16(index, 0xffff), time, this.u32(packet.length, packet.length), packet)
  }

  simple(original: number, packet: Buffer): Buffer {
    return this.block(3, this.u32(original), packet)
  }

  #number(size: number, value: number): Buffer {
    const bytes = Buffer.alloc(size)
    if (this.#little) bytes.writeUIntLE(value, 0, size)
    else bytes.writeUIntBE(value, 0, size)
    return bytes
  }
}

const PACKET = Buffer.from('0200000000020200000000010800aabbccddee', 'hex')
const END = Buffer.alloc(4)
const NANOSECONDS = 1_700_000_000_123_456_789n

function read(...blocks: Buffer[]): Promise<ReadCapture> {
  return readAll(memoryFeed(Buffer.concat(blocks)))
}

function times(frames: ReadFrame[]): number[][] {
  return frames.map(({ seconds, nanoseconds }) => [seconds, nanoseconds])
}

const ORDERS = ['little-endian', 'big-endian'] as const

describe('pcapng', () => {
  test.each(ORDERS)('%s: each interface has its own link type, resolution and offset', async (order) => {
    const section = new Section(order)
    const { frames, problem } = await read(
      section.header(),
      section.interface(1, 0),
      section.interface(101, 0, section.option(2, Buffer.from('eth0')), section.resolution(9), END),
      section.interface(113, 0, section.resolution(0x80 | 32), section.timeOffset(-1_000), END),
      section.enhanced(1, NANOSECONDS, PACKET, 1514),
      section.enhanced(0, 1_700_000_000_123_456n, PACKET.subarray(0, 15)),
      section.enhanced(2, (5_000n << 32n) | 0x4000_0000n, Buffer.alloc(0)),
      section.obsolete(1, NANOSECONDS, PACKET),
    )
    expect(problem).toBeUndefined()
    expect(times(frames)).toEqual([
      [1_700_000_000, 123_456_789],
      [1_700_000_000, 123_456_000],
      [4_000, 250_000_000],
      [1_700_000_000, 123_456_789],
    ])
    expect(frames.map(({ linkType }) => linkType)).toEqual([101, 1, 113, 101])
    expect(frames.map(({ wireLength }) => wireLength)).toEqual([1514, 15, 0, 19])
    expect(frames.map(({ bytes }) => bytes)).toEqual(
      [PACKET, PACKET.subarray(0, 15), Buffer.alloc(0), PACKET].map((packet) => packet.toString('hex')),
    )
  })

  test.each(ORDERS)('%s: a simple packet is as long as the snap length allows, and has no time', async (order) => {
    const section = new Section(order)
    const { frames } = await read(
      section.header(),
      section.interface(1, 16),
      section.simple(1500, PACKET.subarray(0, 16)),
      section.simple(14, PACKET.subarray(0, 14)),
    )
    expect(frames.map(({ captured, wireLength }) => [captured, wireLength])).toEqual([
      [16, 1500],
      [14, 14],
    ])
    expect(times(frames)).toEqual([
      [0, 0],
      [0, 0],
    ])
  })

  requires('tshark').each(ORDERS)('%s: tshark reads the same from these blocks', async (order) => {
    const section = new Section(order)
    const other = new Section(order === 'big-endian' ? 'little-endian' : 'big-endian')
    const blocks = [
      section.header(),
      section.interface(1, 0),
      section.block(0x0c0c, Buffer.alloc(100, 1)),
      section.interface(1, 0, section.resolution(9), END),
      section.interface(1, 0, section.resolution(0x80 | 20), section.timeOffset(1_600_000_000), END),
      section.enhanced(0, 1_700_000_000_123_456n, PACKET, 1514),
      section.enhanced(1, NANOSECONDS, PACKET.subarray(0, 17)),
      section.obsolete(1, NANOSECONDS, PACKET),
      section.enhanced(2, (77n << 20n) | 0x12345n, PACKET),
      section.block(5, section.u32(0, 0, 0)),
      other.header(),
      other.interface(1, 0, other.resolution(3), END),
      other.enhanced(0, 1_700_000_000_123n, PACKET),
    ]
    const file = join(folder, `${order}.pcapng`)
    writeFileSync(file, Buffer.concat(blocks))
    const { frames, problem } = await read(...blocks)
    expect(problem).toBeUndefined()
    expect(frames.length).toBe(5)
    expect(frames.map(({ linkType, ...frame }) => frame)).toEqual(framesOf(file))
  })

  test('a section forgets the interfaces of the one before', async () => {
    const section = new Section('little-endian')
    const { frames, problem } = await read(
      section.header(),
      section.interface(1, 0),
      section.enhanced(0, 1n, PACKET),
      section.header(),
      section.enhanced(0, 1n, PACKET),
    )
    expect(frames.length).toBe(1)
    expect(problem).toEqual({ offset: 28 + 20 + 52 + 28, reason: 'packet of interface 0, which is not described' })
  })

  test('a block of no interest may be larger than the window', async () => {
    const section = new Section('big-endian')
    const blocks = [
      section.header(),
      section.interface(1, 0),
      section.enhanced(0, 1n, PACKET),
      section.block(0x0c0c, Buffer.alloc(10_000, 6)),
      section.enhanced(0, 2n, PACKET),
    ]
    for (const atOnce of [1, 7, 100, 9_999]) {
      const { frames, problem } = await readAll(memoryFeed(Buffer.concat(blocks), atOnce), { windowLength: 128 })
      expect(problem).toBeUndefined()
      expect(times(frames)).toEqual([
        [0, 1_000],
        [0, 2_000],
      ])
    }
    const cut = Buffer.concat(blocks.slice(0, 4)).subarray(0, 5_000)
    const { frames, problem } = await readAll(memoryFeed(cut), { windowLength: 128 })
    expect(frames.length).toBe(1)
    expect(problem?.reason).toBe('cut inside a block')
  })
})

describe('pcapng that lies', () => {
  const section = new Section('little-endian')
  const good = [section.header(), section.interface(1, 0), section.enhanced(0, 1n, PACKET)]
  const offset = Buffer.concat(good).length
  const type = section.u32(6)

  test.each([
    ['a block shorter than its own frame', [type, section.u32(8, 8)], 'block length 8'],
    ['a block whose length is not a multiple of 4', [type, section.u32(33), Buffer.alloc(40)], 'block length 33'],
    ['a length that is repeated differently', [section.u32(0x0c0c, 16, 0, 20)], 'block length 16, repeated as 20'],
    [
      'a packet longer than its block',
      [section.block(6, section.u32(0, 0, 0, 21, 21), PACKET)],
      'packet of 21 bytes in a block with room for 20',
    ],
    ['a packet block without room for its fields', [section.block(6, section.u32(0))], 'packet block of 16 bytes'],
    [
      'a simple packet longer than its block',
      [section.simple(100, PACKET)],
      'packet of 100 bytes in a block with room for 20',
    ],
    [
      'an interface that is not there',
      [section.enhanced(7, 1n, PACKET)],
      'packet of interface 7, which is not described',
    ],
    [
      'an interface option beyond its block',
      [section.interface(1, 0, section.u16(2, 9))],
      'interface option of 9 bytes, longer than its block',
    ],
    ['an interface block without its fields', [section.block(1)], 'interface description of 12 bytes, number 1'],
    [
      'a packet block larger than any window',
      [type, section.u32(0x7ffffffc), Buffer.alloc(40)],
      'block of 2147483644 bytes; at most 1048576 can be read',
    ],
    ['a section of another version', [section.header(2)], 'pcapng version 2; version 1 can be read'],
    [
      'a section header without its fields',
      [section.block(0x0a0d0d0a, section.u32(0x1a2b3c4d))],
      'section header of 16 bytes',
    ],
    [
      'a section of unknown byte order',
      [section.block(0x0a0d0d0a, section.u32(1), Buffer.alloc(12))],
      'unknown byte-order magic 0x00000001',
    ],
  ])('%s is a problem behind the packets before it', async (_name, blocks, reason) => {
    const { frames, problem } = await read(...good, ...blocks, section.enhanced(0, 2n, PACKET))
    expect(times(frames)).toEqual([[0, 1_000]])
    expect(problem).toEqual({ offset, reason })
  })

  test('interfaces without end are a problem at last', async () => {
    const interfaces = Buffer.concat(Array.from({ length: 65_537 }, () => section.interface(1, 0)))
    const { frames, problem } = await read(section.header(), interfaces)
    expect(frames).toEqual([])
    expect(problem).toEqual({ offset: 28 + 65_536 * 20, reason: 'interface description of 20 bytes, number 65536' })
  })

  test('every cut gives the packets before it', async () => {
    const file = Buffer.concat([...good, section.enhanced(0, 2n, PACKET)])
    for (let length = 0; length < file.length; length++) {
      const { frames, problem } = await read(file.subarray(0, length))
      expect(frames.length).toBe(length < offset ? 0 : 1)
      if (![28, 48, offset].includes(length)) expect(problem?.reason).toMatch(/^cut inside|^empty/)
      else expect(problem).toBeUndefined()
    }
  })
})
