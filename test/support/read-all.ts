import type { ByteFeed } from '../../src/pcap-writer/byte-feed.ts'
import { CaptureReader } from '../../src/pcap-writer/reader.ts'
import type { CaptureProblem, PacketColumns } from '../../src/pcap-writer/reader-window.ts'
import type { Frame } from './tshark.ts'

/** A packet as CaptureReader gave it, in the shape of what tshark says. */
export interface ReadFrame extends Frame {
  linkType: number
}

export interface ReadCapture {
  frames: ReadFrame[]
  problem: CaptureProblem | undefined
  bytesRead: number
}

export function packetColumns(rows: number): PacketColumns {
  return {
    offset: new Uint32Array(rows),
    captured: new Uint32Array(rows),
    wireLength: new Uint32Array(rows),
    seconds: new Uint32Array(rows),
    nanoseconds: new Uint32Array(rows),
    linkType: new Uint16Array(rows),
  }
}

/** A feed of bytes in memory that gives at most `atOnce` bytes a read. */
export function memoryFeed(bytes: Uint8Array, atOnce: number = bytes.length): ByteFeed {
  let at = 0
  return {
    read(into) {
      const part = bytes.subarray(at, at + Math.min(atOnce, into.length))
      into.set(part)
      at += part.length
      return part.length
    },
    close() {},
  }
}

const POISON = 0xa5
const MARGIN = 64

export interface ReadOptions {
  windowLength?: number
  maxRows?: number
}

/**
 * Reads a feed to its end. The window lies between two margins that must stay as they are, and every packet must lie in
 * the window; the window is poisoned where a borrowed packet has been copied.
 */
export async function readAll(
  feed: ByteFeed,
  { windowLength = 1 << 20, maxRows = 100 }: ReadOptions = {},
): Promise<ReadCapture> {
  const memory = new SharedArrayBuffer(windowLength + 2 * MARGIN)
  const bytes = Buffer.from(memory)
  bytes.fill(POISON)
  const columns = packetColumns(maxRows)
  const reader = new CaptureReader(feed, memory, MARGIN, windowLength)
  const frames: ReadFrame[] = []
  for (;;) {
    const rows = await reader.next(columns, maxRows)
    if (rows === 0) break
    for (let row = 0; row < rows; row++) {
      const start = columns.offset[row]!
      const end = start + columns.captured[row]!
      if (start < MARGIN || end > MARGIN + windowLength)
        throw new Error(`packet at ${start}-${end} is not in the window`)
      frames.push({
        seconds: columns.seconds[row]!,
        nanoseconds: columns.nanoseconds[row]!,
        captured: columns.captured[row]!,
        wireLength: columns.wireLength[row]!,
        linkType: columns.linkType[row]!,
        bytes: bytes.toString('hex', start, end),
      })
      bytes.fill(POISON, start, end)
    }
  }
  feed.close()
  const margins = [bytes.subarray(0, MARGIN), bytes.subarray(MARGIN + windowLength)]
  if (margins.some((margin) => margin.some((byte) => byte !== POISON))) throw new Error('written outside the window')
  return { frames, problem: reader.problem, bytesRead: reader.bytesRead }
}
