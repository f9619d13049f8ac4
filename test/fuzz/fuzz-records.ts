import { createRequire } from 'node:module'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { PeerTable } from '../../src/frames/peer-table.ts'
import { fetchedBatches } from '../../src/kafka/fetched-batch.ts'
import { RecordUnpacker } from '../../src/sources/kafka/record-unpacker.ts'
import { IS_ETHERNET } from '../../src/wire/ether-type.ts'
import type { Corpus } from './corpus.ts'
import { Finding } from './finding.ts'
import { damaged, pcapng, somePackets } from './fuzz-reader.ts'
import { Random } from './random.ts'

// Bytes as the client library of another project encodes them.
const require = createRequire(import.meta.url)
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(batch: object): Promise<{ buffer: Buffer }>
}
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => unknown

const MARGIN = 64
const WINDOW_BYTES = 96 * 1024
const ROWS = 8
const ETHERNET_BYTES = 14
/** What a batch says of itself, which the client library checks before it hands it on. */
const BATCH_HEADER_BYTES = 61
const MOST_TAKES = 10_000
const HEADERS = ['vni', 'encap', 'peer', 'orig-len', 'ts-ns', 'link-type', 'x']
const VALUES = ['0', '100', 'vxlan', '10.0.0.1', '2001:db8::1', '101', '1700000000123456789', '-1', '9'.repeat(30), '']

/** Spoils the rows of one of two readings, as a defect would. */
export type RecordSabotage = (batch: FrameBatch) => void

export interface RecordOptions {
  readonly batches: number
  readonly seed: number
  readonly corpus: Corpus
  readonly sabotage?: RecordSabotage
}

/** Takes mutated batches of Kafka records apart, each amid two kinds of foreign bytes. Throws a Finding that tells which. */
export async function fuzzRecords(options: RecordOptions): Promise<{ frames: number; problems: number }> {
  const random = new Random(options.seed, 2000)
  let frames = 0
  let problems = 0
  for (let number = 0; number < options.batches; number++) {
    const sound = await encoded(options.corpus, random)
    const bytes = Buffer.concat([
      sound.subarray(0, BATCH_HEADER_BYTES),
      damaged(sound.subarray(BATCH_HEADER_BYTES), random),
    ])
    bytes.writeInt32BE(bytes.length - 12, 8)
    try {
      const one = readingOf(bytes, 0, options.sabotage)
      const other = readingOf(bytes, 0xff, options.sabotage)
      if (JSON.stringify(one) !== JSON.stringify(other)) {
        throw new Finding('what is read depends on what lay there before')
      }
      frames += one.length
      if (one.some(({ content }) => content === '')) problems++
    } catch (error) {
      throw new Finding(`seed ${options.seed}, batch of records ${number}: ${error}\n${bytes.toString('hex')}`)
    }
  }
  return { frames, problems }
}

async function encoded(corpus: Corpus, random: Random): Promise<Buffer> {
  const records: object[] = []
  const add = (value: Buffer | null): void => {
    const headers: Record<string, string> = {}
    for (let count = random.below(5); count > 0; count--) headers[random.pick(HEADERS)] = random.pick(VALUES)
    const key = random.pick([null, Buffer.alloc(8, random.next()), Buffer.alloc(random.below(20))])
    records.push({ key, value, headers, timestampDelta: random.below(1000), offsetDelta: records.length })
  }
  somePackets(corpus, random, add)
  for (let files = random.below(3); files > 0; files--) add(pcapng(corpus, random))
  if (random.oneIn(4)) add(null)
  const { buffer } = await RecordBatch({
    compression: 0,
    firstOffset: 5,
    firstTimestamp: 1_700_000_000_000,
    maxTimestamp: 1_700_000_000_000,
    lastOffsetDelta: records.length,
    records: records.map(encodeRecord),
  })
  return buffer
}

interface Frame {
  readonly columns: readonly number[]
  readonly content: string
}

function readingOf(bytes: Buffer, fill: number, sabotage: RecordSabotage | undefined): Frame[] {
  const memory = new SharedArrayBuffer(WINDOW_BYTES + 2 * MARGIN)
  const batch = new FrameBatch(memory, ROWS)
  batch.bytes.fill(fill)
  const peers = new PeerTable(64, undefined, new SharedArrayBuffer(PeerTable.bytesFor(64)))
  const unpacker = new RecordUnpacker({
    memory,
    byteOffset: MARGIN,
    byteLength: WINDOW_BYTES,
    peers,
    say: () => {},
  })
  const frames: Frame[] = []
  for (const fetched of fetchedBatches(bytes)) {
    unpacker.open(fetched)
    for (let takes = 0; unpacker.isOpen; takes++) {
      batch.count = 0
      unpacker.begin(batch, ROWS)
      unpacker.take(0)
      if (takes > MOST_TAKES || (batch.count === 0 && unpacker.isOpen)) throw new Finding('it never ends')
      sabotage?.(batch)
      frames.push(...framesIn(batch))
    }
  }
  const margins = [batch.bytes.subarray(0, MARGIN), batch.bytes.subarray(MARGIN + WINDOW_BYTES)]
  if (margins.some((margin) => margin.some((byte) => byte !== fill))) throw new Finding('written outside the window')
  return frames
}

/** In the window one behind the other, with room in front of those that have no Ethernet header. */
function framesIn(batch: FrameBatch): Frame[] {
  const frames: Frame[] = []
  let before = MARGIN
  for (let row = 0; row < batch.count; row++) {
    const [start, captured] = [batch.offset[row]!, batch.captured[row]!]
    const room = batch.etherType[row] === IS_ETHERNET ? 0 : ETHERNET_BYTES
    if (captured > 0 && (start - room < before || start + captured > MARGIN + WINDOW_BYTES)) {
      throw new Finding(`frame ${row} lies at ${start}-${start + captured}, behind ${before}`)
    }
    if (batch.wireLength[row]! < captured) throw new Finding(`frame ${row} is longer than on the wire`)
    if (batch.nanoseconds[row]! >= 1e9) throw new Finding(`frame ${row}: ${batch.nanoseconds[row]} ns`)
    if (captured > 0) before = start + captured
    const columns = [
      batch.wireLength,
      batch.seconds,
      batch.nanoseconds,
      batch.tunnelId,
      batch.encapsulation,
      batch.etherType,
      batch.peer,
    ]
    frames.push({
      columns: columns.map((column) => column[row]!),
      content: Buffer.from(batch.bytes.slice(start, start + captured)).toString('latin1'),
    })
  }
  return frames
}
