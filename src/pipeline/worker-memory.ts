import { PeerCounts } from '../frames/peer-counts.ts'
import { PeerTable } from '../frames/peer-table.ts'
import { TunnelCounts } from '../frames/tunnel-counts.ts'
import { PipelineCounters } from '../telemetry/counters.ts'
import { WORKER_DIED } from '../wire/verdict.ts'
import { allocateSessions, mayBeNumbered, type SessionMemory } from './mirror-sessions.ts'
import {
  CONTROL_TURNS,
  CONTROL_WORDS,
  CONTROL_WRITES,
  COUNTED_PEERS,
  COUNTED_TUNNELS,
  type PipelineOptions,
} from './plan.ts'

/** What a worker and the main thread share beside the slab. When the worker dies its successor goes on with it. */
export class WorkerMemory {
  readonly counters: PipelineCounters = new PipelineCounters()
  readonly tunnelCounts: SharedArrayBuffer = new SharedArrayBuffer(TunnelCounts.bytesFor(COUNTED_TUNNELS))
  readonly control: Int32Array = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS))
  /** Absent where nothing depends on who sends. */
  readonly peers: SharedArrayBuffer | undefined
  readonly peerCounts: SharedArrayBuffer | undefined
  readonly sessions: SessionMemory | undefined

  constructor(options: PipelineOptions, asksForPeers: boolean) {
    if (asksForPeers) this.peers = new SharedArrayBuffer(PeerTable.bytesFor(COUNTED_PEERS))
    if (options.countPeers) this.peerCounts = new SharedArrayBuffer(PeerCounts.bytesFor(COUNTED_PEERS))
    if (mayBeNumbered(options.source.listeners)) this.sessions = allocateSessions()
  }

  /** A number that moves while the worker lives, or waits for a disk: at least every 100 ms, unless it ended. */
  get turns(): number {
    if (Atomics.load(this.control, CONTROL_WRITES) === 1) return performance.now()
    return Atomics.load(this.control, CONTROL_TURNS)
  }

  get vnis(): Record<string, number> {
    return new TunnelCounts(this.tunnelCounts, COUNTED_TUNNELS).toObject()
  }

  get peerFrames(): Record<string, number> {
    if (this.peerCounts === undefined || this.peers === undefined) return {}
    return new PeerCounts(this.peerCounts).toObject(PeerTable.reader(this.peers))
  }

  /** The worker has died: what it had received, and not brought to an end, has come to this one. Returns how many. */
  countLost(): number {
    this.counters.held = 0
    const lost = this.counters.balance()
    this.counters.addVerdict(WORKER_DIED, lost)
    return lost
  }
}
