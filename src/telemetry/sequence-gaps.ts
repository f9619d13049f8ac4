import type { PeerTable } from '../frames/peer-table.ts'
import type { SequenceCount, SequenceCounts } from '../frames/sequence-counts.ts'
import type { SessionTable } from '../frames/session-table.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'

/** What sequence numbers tell of one mirror session. */
export interface SequenceGap extends SequenceCount {
  /** Address of the host that sends the tunnel. */
  readonly peer: string
  readonly encapsulation: string
  /** Key or session, as in `vnis`. */
  readonly session: number
}

/** The sessions of which not every frame came once and in order, those that lost most first. */
export function sequenceGaps(sessions: SessionTable, counts: SequenceCounts, peers: PeerTable): SequenceGap[] {
  const gaps: SequenceGap[] = []
  for (let session = 0; session < sessions.count; session++) {
    const count = counts.of(session)
    if (count.lost + count.reordered + count.duplicated + count.restarts === 0) continue
    const peer = peers.text(sessions.peer(session))
    const encapsulation = ENCAPSULATIONS[sessions.encapsulation(session)]!.name
    gaps.push({ peer, encapsulation, session: sessions.tunnelId(session), ...count })
  }
  return gaps.sort((a, b) => b.lost - a.lost)
}
