import type { FrameBatch } from './frame-batch.ts'
import { FIRST_PEER, PEER_OTHER, type PeerTable } from './peer-table.ts'

/** Frames by the number that the table of peers gave their sender, in memory that any thread may read while one writes. */
export class PeerCounts {
  readonly #counts: Float64Array

  /** `capacity`: of the table of peers. */
  static bytesFor(capacity: number): number {
    return (capacity + FIRST_PEER) * Float64Array.BYTES_PER_ELEMENT
  }

  constructor(memory: SharedArrayBuffer) {
    this.#counts = new Float64Array(memory)
  }

  addRows(batch: FrameBatch): void {
    for (let row = 0; row < batch.count; row++) this.#counts[batch.peer[row]!]! += 1
  }

  /** Address -> frames, the busiest `limit` first; what is beyond them, or found no room in the table, as `other`. */
  toObject(peers: PeerTable, limit: number = 1000): Record<string, number> {
    const rows: [number, number][] = []
    let other = this.#counts[PEER_OTHER]!
    for (let peer = PEER_OTHER + 1; peer < this.#counts.length; peer++) {
      if (this.#counts[peer]! > 0) rows.push([peer, this.#counts[peer]!])
    }
    rows.sort((a, b) => b[1] - a[1])
    for (const [, frames] of rows.slice(limit)) other += frames
    const result = Object.fromEntries(rows.slice(0, limit).map(([peer, frames]) => [peers.text(peer), frames]))
    if (other > 0) result.other = other
    return result
  }
}
