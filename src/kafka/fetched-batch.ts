import { gunzipSync } from 'node:zlib'
import { BATCH_HEADER_BYTES } from './record-batch.ts'

/** https://kafka.apache.org/documentation/#recordbatch; see record-batch.ts for how one is written. */
const BATCH_LENGTH = 8
const LENGTH_COUNTED_FROM = 12
const MAGIC = 16
const ATTRIBUTES = 21
const LAST_OFFSET_DELTA = 23
const BASE_TIMESTAMP = 27
const MAX_TIMESTAMP = 35
const PRODUCER_ID = 43
const RECORD_COUNT = 57

const MAGIC_2 = 2
const COMPRESSION = 0x07
const GZIP = 1
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
/** A control record's key: version, then 0 where its transaction was aborted, 1 where it was committed. */
const CONTROL_KEY_BYTES = 4

/**
 * One record batch as it came. Stands where the client library has a message object for each record: its fields are those
 * that the library reads of the last of them, to know where to go on and which transactions were aborted.
 */
export interface FetchedBatch {
  /** Of the last record that the batch has had, in decimal. */
  readonly offset: string
  /** Of a control batch's record. */
  readonly key: Buffer | null
  readonly isControlRecord: boolean
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean }
  readonly bytes: Buffer
}

/** The whole batches in what a fetch brought of one partition; the last may be cut off, and comes whole next time. @throws Error */
export function fetchedBatches(fetched: Buffer): FetchedBatch[] {
  const batches: FetchedBatch[] = []
  for (let at = 0; at + BATCH_HEADER_BYTES <= fetched.length; ) {
    const end = at + LENGTH_COUNTED_FROM + fetched.readInt32BE(at + BATCH_LENGTH)
    if (end > fetched.length) break
    if (end < at + BATCH_HEADER_BYTES || fetched[at + MAGIC] !== MAGIC_2)
      throw new Error('the records are in a format older than that of Kafka 0.11')
    batches.push(fetchedBatch(fetched.subarray(at, end)))
    at = end
  }
  return batches
}

function fetchedBatch(bytes: Buffer): FetchedBatch {
  const attributes = bytes.readInt16BE(ATTRIBUTES)
  const isControlRecord = (attributes & CONTROL) !== 0
  return {
    offset: String(bytes.readBigInt64BE(0) + BigInt(bytes.readInt32BE(LAST_OFFSET_DELTA))),
    key: isControlRecord ? controlKey(bytes) : null,
    isControlRecord,
    batchContext: {
      producerId: String(bytes.readBigInt64BE(PRODUCER_ID)),
      inTransaction: (attributes & TRANSACTIONAL) !== 0,
    },
    bytes,
  }
}

/** Such a record is short and never compressed: its fields in front of the key take a byte each. */
function controlKey(bytes: Buffer): Buffer {
  const at = BATCH_HEADER_BYTES + 5
  return bytes.subarray(at, at + CONTROL_KEY_BYTES)
}

/** A batch's records, unpacked, one behind the other. */
export interface PackedRecords {
  readonly bytes: Buffer
  /** Where the first is. */
  readonly start: number
  readonly count: number
  readonly baseOffset: number
  /** Milliseconds since 1970. */
  readonly baseTimestamp: number
  /** Where the broker's time counts, not the records' own: that time. */
  readonly appendTimestamp: number | undefined
}

/** @throws Error where they are compressed with what this program does not have, or are damaged. */
export function unpackRecords({ bytes }: FetchedBatch): PackedRecords {
  const attributes = bytes.readInt16BE(ATTRIBUTES)
  const compression = attributes & COMPRESSION
  if (compression > GZIP)
    throw new Error(`the records are compressed with ${COMPRESSIONS[compression]}, and only gzip can be read`)
  const isPacked = compression === GZIP
  return {
    bytes: isPacked ? gunzipSync(bytes.subarray(BATCH_HEADER_BYTES)) : bytes,
    start: isPacked ? 0 : BATCH_HEADER_BYTES,
    count: bytes.readInt32BE(RECORD_COUNT),
    baseOffset: Number(bytes.readBigInt64BE(0)),
    baseTimestamp: Number(bytes.readBigInt64BE(BASE_TIMESTAMP)),
    appendTimestamp: attributes & LOG_APPEND_TIME ? Number(bytes.readBigInt64BE(MAX_TIMESTAMP)) : undefined,
  }
}
