import type { RateByName, Rates, TrafficHistory } from './history.ts'
import type { Report } from './report.ts'
import type { Snapshot } from './snapshot.ts'
import { warningsOf } from './warnings.ts'

/** Rows of each table; the report has the rest. */
const SHOWN = 50

/** How far the program is. */
export type RunState = 'starting' | 'collecting' | 'stopping'

export interface LiveRow {
  readonly name: string
  readonly frames: number
  /** Frames a second. */
  readonly rate: number
}

/** What the live page asks for once a second. */
export interface LiveStatus {
  readonly version: string
  readonly state: RunState
  /** What is listened on. */
  readonly listening: readonly string[]
  readonly runningSeconds: number
  readonly report: Omit<Report, 'vnis'>
  readonly receivedBytes: number
  readonly deliveredBytes: number
  readonly vnis: readonly LiveRow[]
  readonly vniCount: number
  readonly peers: readonly LiveRow[]
  readonly peerCount: number
  readonly history: readonly Rates[]
  readonly warnings: readonly string[]
}

/** Program-wide facts that stand in every status. */
export interface RunFacts {
  readonly version: string
  readonly state: RunState
  readonly listening: readonly string[]
}

export function liveStatus(facts: RunFacts, snapshot: Snapshot, history: TrafficHistory): LiveStatus {
  const { vnis, ...report } = snapshot.report
  return {
    ...facts,
    runningSeconds: performance.now() / 1000,
    report,
    receivedBytes: snapshot.receivedBytes,
    deliveredBytes: snapshot.deliveredBytes,
    vnis: busiest(vnis, history.vniRates),
    vniCount: Object.keys(vnis).length,
    peers: busiest(snapshot.peers, history.peerRates),
    peerCount: Object.keys(snapshot.peers).length,
    history: history.rates,
    warnings: warningsOf(snapshot.report, history),
  }
}

function busiest(counts: Record<string, number>, rates: RateByName): LiveRow[] {
  return Object.entries(counts)
    .map(([name, frames]) => ({ name, frames, rate: rates[name] ?? 0 }))
    .sort((a, b) => b.frames - a.frames)
    .slice(0, SHOWN)
}
