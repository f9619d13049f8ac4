import { readSync, writeSync } from 'node:fs'
import { crc32c } from '../../kafka/crc32c.ts'

/** An entry: its length, CRC-32C of what follows that, partition, frames, length of the topic's name; the name, the batch. */
const LENGTH = 0
const CHECKSUM = 4
const PARTITION = 8
const FRAMES = 12
const TOPIC_LENGTH = 16
const HEADER_BYTES = 18
/** Above what a broker takes: a length beyond it is none. */
const LARGEST_ENTRY = 1 << 30

export interface EntryHeader {
  /** Of the whole entry. */
  readonly bytes: number
  readonly frames: number
}

export interface SpooledBatch {
  readonly topic: string
  readonly partition: number
  readonly frames: number
  readonly bytes: Buffer
}

/** Writes an entry; undefined when it takes more than `room`. Throws what writeSync does. */
export function appendEntry(
  descriptor: number,
  at: number,
  batch: SpooledBatch,
  room: number,
): EntryHeader | undefined {
  const topicBytes = Buffer.byteLength(batch.topic)
  const entry = Buffer.allocUnsafe(HEADER_BYTES + topicBytes + batch.bytes.length)
  if (entry.length > room) return undefined
  entry.writeUInt32LE(entry.length, LENGTH)
  entry.writeInt32LE(batch.partition, PARTITION)
  entry.writeUInt32LE(batch.frames, FRAMES)
  entry.writeUInt16LE(topicBytes, TOPIC_LENGTH)
  entry.write(batch.topic, HEADER_BYTES)
  batch.bytes.copy(entry, HEADER_BYTES + topicBytes)
  entry.writeUInt32LE(crc32c(entry, PARTITION, entry.length), CHECKSUM)
  for (let done = 0; done < entry.length; ) done += writeSync(descriptor, entry, done, entry.length - done, at + done)
  return { bytes: entry.length, frames: batch.frames }
}

/** The header of the entry at `at` of a file of `length` bytes; undefined where no whole entry is. */
export function readHeader(descriptor: number, at: number, length: number): EntryHeader | undefined {
  const header = Buffer.alloc(HEADER_BYTES)
  if (readSync(descriptor, header, 0, HEADER_BYTES, at) < HEADER_BYTES) return undefined
  const bytes = header.readUInt32LE(LENGTH)
  if (bytes < HEADER_BYTES || bytes > LARGEST_ENTRY || at + bytes > length) return undefined
  return { bytes, frames: header.readUInt32LE(FRAMES) }
}

/** The batch of an entry. A disk that has changed it is seen by the broker, too: the batch then has no bytes. */
export function readBatch(descriptor: number, at: number, { bytes, frames }: EntryHeader): SpooledBatch {
  const entry = Buffer.allocUnsafeSlow(bytes)
  const read = readSync(descriptor, entry, 0, bytes, at)
  const partition = entry.readInt32LE(PARTITION)
  const topicEnd = HEADER_BYTES + entry.readUInt16LE(TOPIC_LENGTH)
  const isWhole = read === bytes && entry.readUInt32LE(CHECKSUM) === crc32c(entry, PARTITION, bytes)
  return {
    topic: entry.toString('utf8', HEADER_BYTES, topicEnd),
    partition,
    frames,
    bytes: isWhole ? entry.subarray(topicEnd) : Buffer.alloc(0),
  }
}
