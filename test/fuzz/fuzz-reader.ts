import { CaptureReader } from '../../src/pcap-writer/reader.ts'
import type { CaptureProblem } from '../../src/pcap-writer/reader-window.ts'
import { memoryFeed, packetColumns } from '../support/read-all.ts'
import type { Corpus } from './corpus.ts'
import { emptyMutant, mutate } from './mutate.ts'
import { Random } from './random.ts'

const WINDOW_BYTES = 16 * 1024
const MARGIN = 64
const ROWS = 64
const MOST_BYTES = 64 * 1024

export interface ReaderOptions {
  readonly files: number
  readonly seed: number
  readonly corpus: Corpus
}

/** Reads mutated pcap and pcapng files, each amid two kinds of foreign bytes. Throws where the two differ. */
export async function fuzzReader({ files, seed, corpus }: ReaderOptions): Promise<{ read: number; problems: number }> {
  const random = new Random(seed, 1000)
  let read = 0
  let problems = 0
  for (let file = 0; file < files; file++) {
    const bytes = damaged(random.oneIn(2) ? pcap(corpus, random) : pcapng(corpus, random), random)
    const atOnce = random.oneIn(4) ? 1 + random.below(100) : bytes.length
    const one = await readingOf(bytes, atOnce, 0)
    const other = await readingOf(bytes, atOnce, 0xff)
    if (JSON.stringify(one) !== JSON.stringify(other)) {
      throw new Error(
        `seed ${seed}, file ${file}: what is read depends on what lay there before\n${bytes.toString('hex')}`,
      )
    }
    read += one.packets.length
    if (one.problem !== undefined) problems++
  }
  return { read, problems }
}

interface Reading {
  readonly packets: readonly (readonly [...number[], string])[]
  readonly problem: CaptureProblem | undefined
}

async function readingOf(file: Uint8Array, atOnce: number, fill: number): Promise<Reading> {
  const memory = new SharedArrayBuffer(WINDOW_BYTES + 2 * MARGIN)
  const bytes = Buffer.from(memory).fill(fill)
  const columns = packetColumns(ROWS)
  const reader = new CaptureReader(memoryFeed(file, atOnce), memory, MARGIN, WINDOW_BYTES)
  const packets: [...number[], string][] = []
  for (;;) {
    const rows = await reader.next(columns, ROWS)
    if (rows === 0) break
    for (let row = 0; row < rows; row++) {
      const start = columns.offset[row]!
      const end = start + columns.captured[row]!
      if (start < MARGIN || end > MARGIN + WINDOW_BYTES)
        throw new Error(`a packet at ${start}-${end}, outside the window`)
      if (columns.wireLength[row]! < columns.captured[row]!) throw new Error('a packet longer than on the wire')
      if (columns.nanoseconds[row]! >= 1e9) throw new Error(`${columns.nanoseconds[row]} ns in a second`)
      const times = [columns.seconds[row]!, columns.nanoseconds[row]!]
      packets.push([...times, columns.wireLength[row]!, columns.linkType[row]!, bytes.toString('latin1', start, end)])
    }
  }
  const margins = [bytes.subarray(0, MARGIN), bytes.subarray(MARGIN + WINDOW_BYTES)]
  if (margins.some((margin) => margin.some((byte) => byte !== fill))) throw new Error('written outside the window')
  return { packets, problem: reader.problem }
}

const mutant = emptyMutant()

/** Some packets, each given to `write` with its bytes. */
export function somePackets(corpus: Corpus, random: Random, write: (bytes: Buffer, wireLength: number) => void): void {
  let left = MOST_BYTES
  for (let count = random.below(12); count > 0; count--) {
    mutate(mutant, corpus, random)
    left -= mutant.captured
    if (left < 0) return
    write(Buffer.from(mutant.bytes.subarray(0, mutant.captured)), mutant.wireLength >>> 0)
  }
}

/** draft-ietf-opsawg-pcap. */
function pcap(corpus: Corpus, random: Random): Buffer {
  const words = wordsIn(random.oneIn(2))
  const parts = [
    words(random.pick([0xa1b2c3d4, 0xa1b23c4d]), random.oneIn(2) ? 0x0004_0002 : 0x0002_0004, 0, 0, 65_535, 1),
  ]
  somePackets(corpus, random, (bytes, wireLength) => {
    parts.push(words(1_700_000_000, random.below(1_000_000), bytes.length, wireLength), bytes)
  })
  return Buffer.concat(parts)
}

/** draft-ietf-opsawg-pcapng: a section, an interface, packets in enhanced and simple blocks. */
export function pcapng(corpus: Corpus, random: Random): Buffer {
  const isLittle = random.oneIn(2)
  const words = wordsIn(isLittle)
  const block = (type: number, body: Buffer): Buffer => {
    const padded = Buffer.concat([body, Buffer.alloc(-body.length & 3)])
    return Buffer.concat([words(type, padded.length + 12), padded, words(padded.length + 12)])
  }
  const parts = [
    block(0x0a0d0d0a, words(0x1a2b3c4d, isLittle ? 1 : 0x10000, 0xffffffff, 0xffffffff)),
    block(1, words(isLittle ? 1 : 0x10000, 65_535, isLittle ? 0x0001_0009 : 0x0009_0001, 0x09090909, 0)),
  ]
  somePackets(corpus, random, (bytes, wireLength) => {
    const kind = random.below(8)
    const enhanced = [words(0, 0x0005_0000, random.next(), bytes.length, wireLength), bytes]
    if (kind === 0) parts.push(block(3, Buffer.concat([words(wireLength), bytes])))
    else if (kind === 1) parts.push(block(random.below(12), bytes))
    else parts.push(block(6, Buffer.concat(enhanced)))
  })
  return Buffer.concat(parts)
}

function wordsIn(isLittle: boolean): (...values: number[]) => Buffer {
  return (...values) => {
    const bytes = Buffer.alloc(4 * values.length)
    values.forEach(
      (value, i) => void (isLittle ? bytes.writeUInt32LE(value, 4 * i) : bytes.writeUInt32BE(value, 4 * i)),
    )
    return bytes
  }
}

/** A few bytes changed, most of them where structure is, and sometimes the end cut off. */
export function damaged(file: Buffer, random: Random): Buffer {
  for (let changes = random.below(5); changes > 0; changes--) {
    const at = random.oneIn(2) ? random.below(Math.min(file.length, 120)) : random.below(file.length)
    file[at] = random.pick([0, 1, 2, 4, 0x7f, 0x80, 0xff, random.next() & 0xff])
  }
  return random.oneIn(3) ? file.subarray(0, random.below(file.length + 1)) : file
}
