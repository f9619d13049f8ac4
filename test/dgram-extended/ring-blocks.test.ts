import { beforeEach, describe, expect, it } from 'vitest'
import { type BlockReader, PlainBlockReader } from '../../src/dgram-extended/block-reader.ts'
import type { DatagramColumns } from '../../src/dgram-extended/datagram-columns.ts'
import { RING_PROGRESS_WORDS, RingBlocks } from '../../src/dgram-extended/ring-blocks.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { LoopBlockReader } from '../../src/sources/ring/loop-block-reader.ts'
import { loopMemory } from '../support/loop-memory.ts'
import { columnsOf } from './support.ts'

const OFFSET = 4096
const BLOCK = 4096
const BLOCKS = 3
const ROWS = 8
/** <linux/if_packet.h>: struct tpacket_block_desc, and in a packet tpacket3_hdr, sockaddr_ll and where the kernel puts the data. */
const STATUS = 8
const PACKETS = 12
const FIRST = 16
const HEADERS = 48
const NETWORK = 96

const { memory, loops } = loopMemory(OFFSET + BLOCKS * BLOCK)
const view = new DataView(memory)
const READERS: readonly [string, BlockReader, DatagramColumns][] = [
  ['PlainBlockReader', new PlainBlockReader(memory, ROWS), columnsOf(ROWS)],
  ['LoopBlockReader', new LoopBlockReader(loops, ROWS), new FrameBatch(memory, ROWS, { loops })],
]
let columns: DatagramColumns
let reader: BlockReader
let ring: RingBlocks

interface Fake {
  readonly next?: number
  readonly captured?: number
  readonly length?: number
  readonly network?: number
  readonly status?: number
}

/** Lays a block out as the kernel does, packets 128 bytes apart, and hands it over. */
function handOver(block: number, packets: readonly Fake[], announced = packets.length, first = HEADERS): void {
  const start = OFFSET + block * BLOCK
  view.setUint32(start + PACKETS, announced, true)
  view.setUint32(start + FIRST, first, true)
  packets.forEach((packet, i) => {
    const at = start + HEADERS + 128 * i
    const last = i === packets.length - 1
    const words = [
      packet.next ?? (last ? 0 : 128),
      1000 + i,
      5 + i,
      packet.captured ?? 20,
      packet.length ?? 20,
      packet.status ?? 1,
    ]
    words.forEach((word, k) => {
      view.setUint32(at + 4 * k, word, true)
    })
    view.setUint16(at + 26, packet.network ?? NETWORK, true)
  })
  view.setUint32(start + STATUS, 1, true)
}

const status = (block: number): number => view.getUint32(OFFSET + block * BLOCK + STATUS, true)
const placeOf = (block: number, i: number): number => OFFSET + block * BLOCK + HEADERS + 128 * i + NETWORK
const ringOf = (progress?: Float64Array): RingBlocks => new RingBlocks(memory, OFFSET, BLOCKS, BLOCK, reader, progress)
const row = (i: number): number[] => [columns.offset[i]!, columns.captured[i]!, columns.wireLength[i]!]

describe.each(READERS)('by %s', (_name, itsReader, itsColumns) => {
  beforeEach(() => {
    new Uint8Array(memory, 0, OFFSET + BLOCKS * BLOCK).fill(0)
    reader = itsReader
    columns = itsColumns
    ring = ringOf()
  })

  it('is half free until the kernel has filled the block that lies half a ring ahead', () => {
    expect(ring.isHalfFree).toBe(true)
    handOver(0, [{}, {}])
    expect(ring.isHalfFree).toBe(true)
    handOver(1, [{}])
    expect(ring.isHalfFree).toBe(false)
    expect(ring.receive(columns, ROWS)).toBe(2)
    expect(ring.isHalfFree).toBe(false)
    expect(ring.receive(columns, ROWS)).toBe(1)
    expect(ring.isHalfFree).toBe(true)
  })

  describe('a sound block', () => {
    it('gives a row for each packet, in place, with its time', () => {
      expect(ring.receive(columns, ROWS)).toBe(0)
      handOver(0, [{}, { captured: 30, length: 900 }, {}])
      expect(ring.receive(columns, ROWS)).toBe(3)
      expect([row(0), row(1), row(2)]).toEqual([
        [placeOf(0, 0), 20, 20],
        [placeOf(0, 1), 30, 900],
        [placeOf(0, 2), 20, 20],
      ])
      expect([columns.seconds[2], columns.nanoseconds[2], reader.tagged]).toEqual([1002, 7, 0])
    })

    it('stays ours until the next call, however few rows that one takes', () => {
      handOver(0, [{}, {}, {}])
      expect([ring.receive(columns, 2), status(0)]).toEqual([2, 1])
      expect([ring.receive(columns, 2), status(0), row(0)]).toEqual([1, 1, [placeOf(0, 2), 20, 20]])
      expect([ring.receive(columns, 2), status(0)]).toEqual([0, 0])
    })

    it('follows the one before, round and round', () => {
      for (let turn = 0; turn < 2 * BLOCKS; turn++) {
        handOver(turn % BLOCKS, [{}])
        expect([ring.receive(columns, ROWS), row(0)]).toEqual([1, [placeOf(turn % BLOCKS, 0), 20, 20]])
      }
    })

    it('without packets goes back at once', () => {
      handOver(0, [])
      expect([ring.receive(columns, ROWS), status(0)]).toEqual([0, 0])
      handOver(1, [{}])
      expect(ring.receive(columns, ROWS)).toBe(1)
    })

    it('tells which packets came with a VLAN tag', () => {
      handOver(0, [{}, { status: 0x51 }, {}, { status: 0x11 }])
      expect([ring.receive(columns, ROWS), [...reader.taggedRows.subarray(0, reader.tagged)]]).toEqual([4, [1, 3]])
      handOver(1, [{}])
      expect([ring.receive(columns, ROWS), reader.tagged]).toEqual([1, 0])
    })
  })

  describe('what cannot be is a row with nothing captured', () => {
    const refused = [OFFSET, 0, 0]

    it.each([
      ['more captured than the block has', { captured: BLOCK, length: BLOCK }],
      ['more captured than there can be', { captured: 0xffff_ffff, length: 0xffff_ffff }],
      ['more captured than the packet had', { captured: 21, length: 20 }],
      ['data in front of the packet', { network: 0 }],
      ['data inside the header', { network: 67 }],
      ['data behind the block', { network: 0xffff }],
    ])('%s', (_what, lie) => {
      handOver(0, [{}, lie, {}])
      expect(ring.receive(columns, ROWS)).toBe(3)
      expect([row(0), row(1), row(2)]).toEqual([[placeOf(0, 0), 20, 20], refused, [placeOf(0, 2), 20, 20]])
    })

    it.each([
      ['ends too early', 0],
      ['leads out of the block', BLOCK],
      ['leads nowhere', 0xffff_fff0],
      ['is crooked', 129],
      ['leads to the last bytes of the block', BLOCK - HEADERS - 4],
    ])('the chain of packets %s: all behind it', (_what, next) => {
      handOver(0, [{ next }, {}, {}])
      expect(ring.receive(columns, ROWS)).toBe(3)
      expect([row(0), row(1), row(2)]).toEqual([[placeOf(0, 0), 20, 20], refused, refused])
      handOver(1, [{}])
      expect([ring.receive(columns, ROWS), row(0)]).toEqual([1, [placeOf(1, 0), 20, 20]])
    })

    it.each([0, BLOCK, 0xffff_fff0])('the first packet is said to be at %i', (first) => {
      handOver(0, [{}, {}], 2, first)
      const rows = ring.receive(columns, ROWS)
      expect(rows).toBe(2)
      for (let i = 0; i < rows; i++)
        expect(columns.offset[i]! + columns.captured[i]!).toBeLessThanOrEqual(OFFSET + BLOCK)
      expect(row(1)).toEqual(refused)
    })

    it.each([
      ['reaches the end of its block', { network: NETWORK, captured: 4096 - 48 - 96, length: 4096 - 48 - 96 }, true],
      ['reaches a byte further', { network: NETWORK, captured: 4096 - 48 - 95, length: 4096 - 48 - 95 }, false],
      ['follows its header at once', { network: 68, captured: 8, length: 8 }, true],
      ['begins at the end, with nothing', { network: 4096 - 48, captured: 0, length: 9 }, true],
      ['begins beyond the half of what its place can say', { network: 0x8000 + 96, captured: 8, length: 8 }, false],
    ] as const)('a packet that %s', (_what, packet, isSound) => {
      handOver(0, [packet])
      expect(ring.receive(columns, ROWS)).toBe(1)
      const at = OFFSET + HEADERS + packet.network
      expect(row(0)).toEqual(isSound ? [at, packet.captured, packet.length] : refused)
    })

    it.each([
      ['just fits', 68, true],
      ['just does not', 64, false],
    ])('a last header that %s', (_what, bytes, fits) => {
      const at = OFFSET + BLOCK - bytes
      handOver(0, [{ next: BLOCK - HEADERS - bytes }, {}])
      view.setUint32(at + 12, 0, true)
      view.setUint32(at + 16, 7, true)
      view.setUint16(at + 26, 68, true)
      expect(ring.receive(columns, ROWS)).toBe(2)
      expect(row(1)).toEqual(fits ? [at + 68, 0, 7] : refused)
    })

    it('more packets are announced than fit: as many rows as could have been, and no end is missed', () => {
      handOver(0, [{}], 0xffff_ffff)
      let rows = 0
      for (let count = ring.receive(columns, ROWS); count > 0; count = ring.receive(columns, ROWS)) rows += count
      expect(rows).toBe(Math.floor(BLOCK / 68))
      expect(status(0)).toBe(0)
    })
  })

  describe('another reader that goes on with the ring', () => {
    it('begins behind the packets that were handed out, in the block where they were', () => {
      const progress = new Float64Array(new SharedArrayBuffer(8 * RING_PROGRESS_WORDS))
      const first = ringOf(progress)
      handOver(0, [{}])
      handOver(1, [{}, {}, {}, {}])
      handOver(2, [{}])
      expect([first.receive(columns, ROWS), first.receive(columns, 3)]).toEqual([1, 3])
      const second = ringOf(progress)
      expect([second.receive(columns, ROWS), row(0)[0]]).toEqual([1, placeOf(1, 3)])
      // All of block 1 is handed out, and it is not given back yet.
      const third = ringOf(progress)
      expect(status(1)).toBe(1)
      expect(third.receive(columns, ROWS) + third.receive(columns, ROWS)).toBe(1)
      expect([row(0)[0], status(1)]).toEqual([placeOf(2, 0), 0])
    })

    it('does not leave the block, whatever its headers say', () => {
      const progress = new Float64Array(new SharedArrayBuffer(8 * RING_PROGRESS_WORDS))
      handOver(0, [{}, { next: 70_000 }, {}, {}])
      ringOf(progress).receive(columns, 3)
      const heir = ringOf(progress)
      expect([heir.receive(columns, ROWS), row(0)]).toEqual([1, [OFFSET, 0, 0]])
    })
  })
})
