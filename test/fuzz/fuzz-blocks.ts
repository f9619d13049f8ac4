import { type BlockReader, PlainBlockReader } from '../../src/dgram-extended/block-reader.ts'
import type { DatagramColumns } from '../../src/dgram-extended/datagram-columns.ts'
import { RingBlocks } from '../../src/dgram-extended/ring-blocks.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { LoopBlockReader } from '../../src/sources/ring/loop-block-reader.ts'
import { columnsOf } from '../dgram-extended/support.ts'
import { loopMemory } from '../support/loop-memory.ts'
import { Finding } from './finding.ts'
import { Random } from './random.ts'

const MARGIN = 4096
const BLOCK_BYTES = 4096
const BLOCKS = 3
const ROWS = 8
/** <linux/if_packet.h>: struct tpacket_block_desc, and in a packet tpacket3_hdr, sockaddr_ll and where the kernel puts the data. */
const STATUS = 8
const PACKETS = 12
const FIRST = 16
const HEADERS = 48
const NETWORK_AT = 26
const NETWORK = 96
const NEXT_STEP = 128
const MOST_CALLS = 1000

const COLUMNS = ['offset', 'captured', 'wireLength', 'seconds', 'nanoseconds'] as const

export type BlockSabotage = (columns: DatagramColumns, rows: number) => void

/** Blocks of a packet ring whose counts, lengths and places are lies. Throws a Finding where a row leaves its block, or nothing ends. */
export function fuzzBlocks(blocks: number, seed: number, sabotage?: BlockSabotage): number {
  const random = new Random(seed, 3000)
  const { memory, loops } = loopMemory(2 * MARGIN + BLOCKS * BLOCK_BYTES)
  const bytes = Buffer.from(memory, 0, 2 * MARGIN + BLOCKS * BLOCK_BYTES).fill(0xa5)
  bytes.fill(0, MARGIN, MARGIN + BLOCKS * BLOCK_BYTES)
  const columns = new FrameBatch(memory, ROWS, { loops })
  const pair = new ReaderPair(new LoopBlockReader(loops, ROWS), new PlainBlockReader(memory, ROWS))
  const ring = new RingBlocks(memory, MARGIN, BLOCKS, BLOCK_BYTES, pair)
  let rows = 0
  for (let number = 0; number < blocks; number++) {
    const start = MARGIN + (number % BLOCKS) * BLOCK_BYTES
    const announced = lay(bytes, start, random)
    let given = 0
    try {
      for (let calls = 0; ; calls++) {
        const count = ring.receive(columns, 1 + random.below(ROWS))
        if (count === 0) break
        if (calls > MOST_CALLS) throw new Finding('it never ends')
        sabotage?.(columns, count)
        expectInside(columns, count, start)
        given += count
      }
      if (given > announced) throw new Finding(`${given} packets of ${announced}`)
      if (bytes.readUInt32LE(start + STATUS) !== 0) throw new Finding('the kernel does not get it back')
      const isWhole = (at: number): boolean => bytes.subarray(at, at + MARGIN).every((byte) => byte === 0xa5)
      if (number % 100 === 0 && !(isWhole(0) && isWhole(MARGIN + BLOCKS * BLOCK_BYTES))) {
        throw new Finding('written outside the ring')
      }
    } catch (error) {
      const block = bytes.toString('hex', start, start + BLOCK_BYTES)
      throw new Finding(`seed ${seed}, block ${number}: ${error}\n${block}`)
    }
    rows += given
  }
  return rows
}

/** Reads each block in both ways, which must come out alike. */
class ReaderPair implements BlockReader {
  readonly #one: BlockReader
  readonly #other: BlockReader
  readonly #columns: DatagramColumns = columnsOf(ROWS)

  constructor(one: BlockReader, other: BlockReader) {
    this.#one = one
    this.#other = other
  }

  get tagged(): number {
    return this.#one.tagged
  }

  get taggedRows(): Uint16Array {
    return this.#one.taggedRows
  }

  read(columns: DatagramColumns, rows: number, at: number, block: number, end: number): number {
    // What a row that cannot be leaves alone.
    for (const column of COLUMNS) this.#columns[column].set(columns[column])
    const ends = [this.#other.read(this.#columns, rows, at, block, end), this.#one.read(columns, rows, at, block, end)]
    if (ends[0] !== ends[1]) throw new Finding(`the readers stop at ${ends[0]} and ${ends[1]}`)
    for (const column of COLUMNS) {
      const differs = columns[column].subarray(0, rows).findIndex((value, i) => value !== this.#columns[column][i])
      if (differs >= 0) throw new Finding(`row ${differs}: the readers differ in ${column}`)
    }
    const tags = [this.#one, this.#other].map(({ tagged, taggedRows }) => String(taggedRows.subarray(0, tagged)))
    if (tags[0] !== tags[1]) throw new Finding(`the readers find tags in rows ${tags[0]} and ${tags[1]}`)
    return ends[0]!
  }
}

/** As the kernel lays a block out, and then some words changed. Gives how many packets it announces. */
function lay(bytes: Buffer, start: number, random: Random): number {
  bytes.fill(random.pick([0, 0xff, 0x5a]), start, start + BLOCK_BYTES)
  const packets = random.below(24)
  bytes.writeUInt32LE(packets, start + PACKETS)
  bytes.writeUInt32LE(HEADERS, start + FIRST)
  for (let packet = 0; packet < packets; packet++) {
    const at = start + HEADERS + NEXT_STEP * packet
    const words = [packet === packets - 1 ? 0 : NEXT_STEP, 1000, random.below(1e9), random.below(32), 32, 1]
    words.forEach((word, i) => void bytes.writeUInt32LE(word, at + 4 * i))
    bytes.writeUInt16LE(NETWORK, at + NETWORK_AT)
  }
  for (let lies = random.below(6); lies > 0; lies--) {
    const at = random.oneIn(4) ? random.below(6) * 4 : HEADERS + NEXT_STEP * random.below(24) + 4 * random.below(7)
    const lie = random.pick([
      0,
      1,
      3,
      0x7fff_ffff,
      0x8000_0000,
      0xffff_ffff,
      BLOCK_BYTES,
      random.below(2 * BLOCK_BYTES),
    ])
    bytes.writeUInt32LE(lie, start + at)
  }
  bytes.writeUInt32LE(1, start + STATUS)
  return bytes.readUInt32LE(start + PACKETS)
}

function expectInside(columns: DatagramColumns, rows: number, block: number): void {
  for (let row = 0; row < rows; row++) {
    const [start, captured] = [columns.offset[row]!, columns.captured[row]!]
    if (start < block || start + captured > block + BLOCK_BYTES) {
      throw new Finding(`row ${row} lies at ${start}-${start + captured}, its block at ${block}`)
    }
    if (columns.wireLength[row]! < captured) throw new Finding(`row ${row} is longer than on the wire`)
  }
}
