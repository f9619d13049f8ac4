import type { CollectOptions } from '../config/schema.ts'
import { EXIT_USAGE, Failure } from '../config/terms/failure.ts'
import { sourceType } from '../sources/registry.ts'
import type { Engine, Listener } from '../sources/source.ts'

/** How many workers there are to be with these options. Throws Failure where they cannot share the work. */
export function workersOf(options: CollectOptions, engine: Engine, listeners: readonly Listener[]): number {
  const { workers, dedup } = options
  if (workers === 1) return 1
  const { canShare } = sourceType(engine)
  if (canShare === undefined) {
    const what = engine === 'kafka' ? 'a topic is read' : `the ${engine} engine receives`
    throw refusal(workers, `${what} in one place.`, 'Leave --workers out.')
  }
  if (dedup !== undefined) {
    throw refusal(workers, 'the copies that --dedup looks for come to different workers.', 'Leave one of the two out.')
  }
  if (!listeners.some(canShare)) {
    const what = 'GRE has no ports to tell flows by, and its sequence numbers make sense in one place only.'
    throw refusal(workers, what, 'Leave --workers out; with --engine ring different senders go to different workers.')
  }
  return workers
}

function refusal(workers: number, why: string, mend: string): Failure {
  return new Failure(EXIT_USAGE, `--workers ${workers}: ${why}`, mend)
}
