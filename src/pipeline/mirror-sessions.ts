import type { FrameBatch } from '../frames/frame-batch.ts'
import { PeerTable } from '../frames/peer-table.ts'
import { SequenceCounts } from '../frames/sequence-counts.ts'
import { NO_SESSION, SessionTable } from '../frames/session-table.ts'
import type { Listener } from '../sources/source.ts'
import { type SequenceGap, sequenceGaps } from '../telemetry/sequence-gaps.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'
import { NOT_GIVEN, type TunnelNotes } from '../wire/tunnel-notes.ts'
import { SourceClocks } from './source-clocks.ts'

/** Sessions that are followed; frames of further ones are delivered all the same. */
const CAPACITY = 1024

/** Memory that the worker and the main thread share. */
export interface SessionMemory {
  readonly keys: SharedArrayBuffer
  readonly counts: SharedArrayBuffer
}

export function allocateSessions(): SessionMemory {
  return {
    keys: new SharedArrayBuffer(SessionTable.bytesFor(CAPACITY)),
    counts: new SharedArrayBuffer(SequenceCounts.bytesFor(CAPACITY)),
  }
}

/** Whether tunnels that number their frames may come. Without listeners all encapsulations may. */
export function mayBeNumbered(listeners: readonly Listener[]): boolean {
  const numbered = ENCAPSULATIONS.map(({ isNumbered }) => isNumbered === true)
  return listeners.length === 0 || listeners.some(({ encapsulation }) => numbered[encapsulation])
}

/** What is lost by the sequence numbers; `peers`: memory of the table of peers. */
export function gapsIn({ keys, counts }: SessionMemory, peers: SharedArrayBuffer): SequenceGap[] {
  return sequenceGaps(new SessionTable(keys, CAPACITY), new SequenceCounts(counts, CAPACITY), PeerTable.reader(peers))
}

/** Follows the sequence numbers and clocks of the mirrors. */
export class MirrorSessions {
  readonly #table: SessionTable
  readonly #sequences: SequenceCounts
  /** Absent where frames keep the time of their arrival. */
  readonly #clocks: SourceClocks | undefined

  constructor({ keys, counts }: SessionMemory, timestamps: 'arrival' | 'source') {
    this.#table = new SessionTable(keys, CAPACITY)
    this.#sequences = new SequenceCounts(counts, CAPACITY)
    if (timestamps === 'source') this.#clocks = new SourceClocks(CAPACITY)
  }

  follow(batch: FrameBatch, row: number, notes: TunnelNotes): void {
    if (notes.sequence === NOT_GIVEN && notes.granularity === NOT_GIVEN) return
    const session = this.#table.indexOf(batch.peer[row]!, batch.encapsulation[row]!, batch.tunnelId[row]!)
    if (session === NO_SESSION) return
    if (notes.sequence !== NOT_GIVEN) this.#sequences.add(session, notes.sequence)
    if (this.#clocks !== undefined && notes.granularity !== NOT_GIVEN) this.#clocks.stamp(session, notes, batch, row)
  }
}
