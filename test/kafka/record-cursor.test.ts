import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FetchedBatch, fetchedBatches, unpackRecords } from '../../src/kafka/fetched-batch.ts'
import { RecordCursor } from '../../src/kafka/record-cursor.ts'

// Bytes as the client library of another project encodes them.
const require = createRequire(import.meta.url)
const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(batch: object): Promise<{ buffer: Buffer }>
}
const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as (record: object) => unknown

const FIRST_OFFSET = 4_294_967_290
const FIRST_TIMESTAMP = 1_700_000_000_000

interface Given {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Record<string, string>
  readonly timestampDelta: number
  readonly offsetDelta: number
}

const GIVEN: readonly Given[] = [
  { key: null, value: Buffer.from('a'), headers: {}, timestampDelta: 0, offsetDelta: 0 },
  { key: Buffer.alloc(8, 7), value: Buffer.alloc(1500, 1), headers: { vni: '100' }, timestampDelta: 5, offsetDelta: 1 },
  { key: Buffer.alloc(0), value: null, headers: { x: '', y: 'ü' }, timestampDelta: -9_000_000_000, offsetDelta: 3 },
  { key: null, value: Buffer.alloc(70_000, 2), headers: {}, timestampDelta: 9_000_000_000, offsetDelta: 200 },
]

async function encoded(compression: number): Promise<Buffer> {
  const { buffer } = await RecordBatch({
    compression,
    firstOffset: FIRST_OFFSET,
    firstTimestamp: FIRST_TIMESTAMP,
    maxTimestamp: FIRST_TIMESTAMP,
    lastOffsetDelta: GIVEN.at(-1)!.offsetDelta,
    producerId: 77,
    records: GIVEN.map(encodeRecord),
  })
  return buffer
}

function fieldOf(bytes: Buffer, at: number, length: number): Buffer | null {
  return length < 0 ? null : Buffer.from(bytes.subarray(at, at + length))
}

/** Every record and header that a cursor finds. */
function walk(batch: FetchedBatch): { records: object[]; isSound: boolean } {
  const cursor = new RecordCursor(unpackRecords(batch))
  const records: object[] = []
  while (cursor.next()) {
    const headers: Record<string, string> = {}
    for (let i = 0; i < cursor.headers && cursor.nextHeader(); i++) {
      const name = fieldOf(cursor.bytes, cursor.nameAt, cursor.nameLength)
      headers[String(name)] = String(fieldOf(cursor.bytes, cursor.headerAt, cursor.headerLength))
    }
    records.push({
      key: fieldOf(cursor.bytes, cursor.keyAt, cursor.keyLength),
      value: fieldOf(cursor.bytes, cursor.valueAt, cursor.valueLength),
      headers,
      timestampDelta: cursor.timestamp - FIRST_TIMESTAMP,
      offsetDelta: cursor.offset - FIRST_OFFSET,
    })
  }
  return { records, isSound: cursor.isSound }
}

describe.each([
  ['plain', 0],
  ['gzip', 1],
])('records that kafkajs encoded, %s', (_, compression) => {
  test('come out field by field', async () => {
    const [batch, ...more] = fetchedBatches(await encoded(compression))
    expect(more).toEqual([])
    expect(batch).toMatchObject({
      offset: String(FIRST_OFFSET + 200),
      isControlRecord: false,
      batchContext: { producerId: '77', inTransaction: false },
    })
    expect(walk(batch!)).toEqual({ records: GIVEN, isSound: true })
  })

  test('a batch that is cut off anywhere comes next time', async () => {
    const bytes = await encoded(compression)
    const twice = Buffer.concat([bytes, bytes])
    for (const length of [0, 1, 60, 61, bytes.length - 1]) {
      expect(fetchedBatches(twice.subarray(0, length))).toEqual([])
      expect(fetchedBatches(twice.subarray(0, bytes.length + length))).toHaveLength(1)
    }
  })
})

test('damaged records end the walk inside their bytes', async () => {
  const good = await encoded(0)
  const damage = fc.array(fc.tuple(fc.integer({ min: 57, max: 1700 }), fc.nat(255)), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(damage, fc.integer({ min: 61, max: good.length }), (changes, end) => {
      const bytes = Buffer.from(good.subarray(0, end))
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      const cursor = new RecordCursor(unpackRecords({ ...fetchedBatches(good)[0]!, bytes }))
      for (let records = 0; cursor.next(); records++) {
        expect(records).toBeLessThan(bytes.length)
        expect(cursor.keyAt + Math.max(0, cursor.keyLength)).toBeLessThanOrEqual(bytes.length)
        expect(cursor.valueAt + Math.max(0, cursor.valueLength)).toBeLessThanOrEqual(bytes.length)
        for (let i = 0; i < cursor.headers && cursor.nextHeader(); i++) {
          expect(cursor.headerAt + Math.max(0, cursor.headerLength)).toBeLessThanOrEqual(bytes.length)
        }
      }
    }),
    { numRuns: 2000 },
  )
})

test.each([
  [2, 'snappy'],
  [3, 'lz4'],
  [4, 'zstd'],
])('compression %i is refused by its name, %s', async (compression, name) => {
  const bytes = await encoded(0)
  bytes.writeInt16BE(compression, 21)
  expect(() => unpackRecords(fetchedBatches(bytes)[0]!)).toThrow(name)
})

test('records in a format before that of Kafka 0.11 are refused', async () => {
  const bytes = await encoded(0)
  bytes[16] = 1
  expect(() => fetchedBatches(bytes)).toThrow('0.11')
})
