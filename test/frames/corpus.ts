import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { memoryFeed, type ReadFrame, readAll } from '../support/read-all.ts'
import { SHARED_CAPTURES } from '../support/requirements.ts'

const GOLDEN = new URL('../golden/', import.meta.url).pathname
const LINKTYPE_ETHERNET = 1
const PCAP_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16

/** Frames of many kinds in one memory, row by row. */
export interface Corpus {
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly offset: readonly number[]
  readonly captured: readonly number[]
  readonly wireLength: readonly number[]
  /** The same as a capture file; the seconds of each record are its row. */
  readonly file: Uint8Array
}

export function goldenFiles(): string[] {
  return filesIn(GOLDEN)
}

/** Ordinary traffic. */
export function plainFiles(): string[] {
  return filesIn(join(SHARED_CAPTURES, 'plain'))
}

/** Tunnels and protocols of every kind. */
export function sharedFiles(): string[] {
  const [, ...lines] = readFileSync(join(SHARED_CAPTURES, 'INDEX.tsv'), 'utf8').trim().split('\n')
  return lines.map((line) => join(SHARED_CAPTURES, line.split('\t')[0]!))
}

function filesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.pcap'))
    .map((name) => join(folder, name))
}

/** The Ethernet frames of capture files, at most so many of each. */
export async function ethernetFrames(files: readonly string[], most = Number.POSITIVE_INFINITY): Promise<ReadFrame[]> {
  const frames: ReadFrame[] = []
  for (const file of files) {
    const read = (await readAll(memoryFeed(readFileSync(file)), { windowLength: 1 << 20 })).frames
    frames.push(...read.filter(({ linkType }) => linkType === LINKTYPE_ETHERNET).slice(0, most))
  }
  return frames
}

/** The same frames, each cut a byte later than the one before it: to every length from 0 to 99. */
export function cut(frames: readonly ReadFrame[]): ReadFrame[] {
  return frames.map((frame, i) => {
    const captured = Math.min(frame.captured, i % 100)
    return { ...frame, captured, bytes: frame.bytes.slice(0, 2 * captured) }
  })
}

export function corpusOf(frames: readonly ReadFrame[]): Corpus {
  const size = frames.reduce((sum, { captured }) => sum + RECORD_HEADER_BYTES + captured, PCAP_HEADER_BYTES)
  const file = Buffer.alloc(size)
  const header = [0xa1b2c3d4, 0x0004_0002, 0, 0, 262_144, LINKTYPE_ETHERNET]
  header.forEach((word, i) => {
    file.writeUInt32LE(word, 4 * i)
  })
  const offset: number[] = []
  let at = PCAP_HEADER_BYTES
  frames.forEach(({ captured, wireLength, bytes }, row) => {
    for (const [i, word] of [row, 0, captured, wireLength].entries()) file.writeUInt32LE(word, at + 4 * i)
    file.write(bytes, at + RECORD_HEADER_BYTES, 'hex')
    offset.push(at + RECORD_HEADER_BYTES)
    at += RECORD_HEADER_BYTES + captured
  })
  return {
    bytes: file,
    view: new DataView(file.buffer, file.byteOffset, file.length),
    offset,
    captured: frames.map(({ captured }) => captured),
    wireLength: frames.map(({ wireLength }) => wireLength),
    file,
  }
}

/** The rows in a file that a tool wrote of the records of a corpus's. */
export function rowsIn(file: Uint8Array): number[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length)
  const rows: number[] = []
  for (let at = PCAP_HEADER_BYTES; at < file.length; at += RECORD_HEADER_BYTES + view.getUint32(at + 8, true))
    rows.push(view.getUint32(at, true))
  return rows
}
