import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GOLDEN, sharedCaptures } from '../support/oracle.ts'
import { memoryFeed, readAll } from '../support/read-all.ts'
import { SHARED_CAPTURES } from '../support/requirements.ts'

/** A packet of some capture, before anything was done to it. */
export interface SoundPacket {
  readonly bytes: Uint8Array
  readonly wireLength: number
  readonly linkType: number
}

/** By capture, so that each of them counts alike however many packets it has. */
export type Corpus = readonly (readonly SoundPacket[])[]

const PACKETS_OF_EACH = 500
const LARGEST_PACKET = 256 * 1024

/** The packets of our own captures and of those that projects share, where they are. */
export async function loadCorpus(): Promise<Corpus> {
  const own = readdirSync(GOLDEN).filter((file) => file.endsWith('.pcap'))
  const files = [
    ...own.map((file) => join(GOLDEN, file)),
    ...sharedCaptures().map((path) => join(SHARED_CAPTURES, path)),
  ]
  const captures = await Promise.all(files.map(packetsOf))
  return captures.filter((packets) => packets.length > 0)
}

async function packetsOf(file: string): Promise<SoundPacket[]> {
  const { frames } = await readAll(memoryFeed(readFileSync(file)), { windowLength: 2 * LARGEST_PACKET })
  return frames.slice(0, PACKETS_OF_EACH).map(({ bytes, wireLength, linkType }) => ({
    bytes: Buffer.from(bytes, 'hex'),
    wireLength,
    linkType,
  }))
}
