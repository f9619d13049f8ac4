import { PipelineCounters } from '../telemetry/counters.ts'
import { buildReport, type Report } from '../telemetry/report.ts'
import type { SequenceGap } from '../telemetry/sequence-gaps.ts'
import type { Snapshot } from '../telemetry/snapshot.ts'
import type { Crew } from './crew.ts'
import { gapsIn } from './mirror-sessions.ts'
import type { SinkSet } from './sink-set.ts'
import type { WorkerMemory } from './worker-memory.ts'

/** Peers that are shown one by one. */
const SHOWN_PEERS = 1000

/** What all workers and sinks have counted together. */
export class Accounting {
  readonly #memories: readonly WorkerMemory[]
  readonly #sinks: SinkSet
  readonly #crew: Crew

  constructor(memories: readonly WorkerMemory[], sinks: SinkSet, crew: Crew) {
    this.#memories = memories
    this.#sinks = sinks
    this.#crew = crew
  }

  report(): Report {
    return this.#reportOf(this.#counters)
  }

  /** The accounting and what is seen beside it, now. */
  snapshot(): Snapshot {
    const counters = this.#counters
    return {
      report: this.#reportOf(counters),
      receivedBytes: counters.receivedBytes,
      deliveredBytes: counters.deliveredBytes,
      inputBytes: counters.inputBytes,
      peers: busiest(merged(this.#memories.map(({ peerFrames }) => peerFrames))),
    }
  }

  get #counters(): PipelineCounters {
    return PipelineCounters.sum(this.#memories.map(({ counters }) => counters))
  }

  #reportOf(counters: PipelineCounters): Report {
    return buildReport({
      counters,
      vnis: merged(this.#memories.map(({ vnis }) => vnis)),
      ...this.#sinks.accounts(),
      gaps: this.#memories.flatMap(gapsOf).sort((a, b) => b.lost - a.lost),
      workerRestarts: this.#crew.restarts,
    })
  }
}

/** Before the start: somebody may ask as soon as --http answers, or by a signal. */
export function nothingYet(): Snapshot {
  const report = buildReport({ counters: new PipelineCounters(), vnis: {}, sinks: [] })
  return { report, receivedBytes: 0, deliveredBytes: 0, inputBytes: 0, peers: {} }
}

function gapsOf({ sessions, peers }: WorkerMemory): SequenceGap[] {
  return sessions === undefined || peers === undefined ? [] : gapsIn(sessions, peers)
}

/** Names that are numbers come in ascending order, as in every object; what is counted together, as `other`, comes last. */
function merged(counts: readonly Record<string, number>[]): Record<string, number> {
  if (counts.length === 1) return counts[0]!
  const { other = 0, ...sum } = counts.reduce<Record<string, number>>((all, some) => {
    for (const [name, frames] of Object.entries(some)) all[name] = (all[name] ?? 0) + frames
    return all
  }, {})
  return other > 0 ? { ...sum, other } : sum
}

function busiest(counts: Record<string, number>): Record<string, number> {
  const { other = 0, ...rest } = counts
  const rows = Object.entries(rest).sort((a, b) => b[1] - a[1])
  const beyond = rows.slice(SHOWN_PEERS).reduce((sum, [, frames]) => sum + frames, other)
  const shown = Object.fromEntries(rows.slice(0, SHOWN_PEERS))
  return beyond > 0 ? { ...shown, other: beyond } : shown
}
