import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Collector, CollectorOptions } from './collector.ts'
import { until } from './waiting.ts'

/** Loaded into every thread by NODE_OPTIONS: a pipeline's worker that sees the file throws. */
const HOOK = `
const { isMainThread, workerData } = require('node:worker_threads')
const { unlinkSync } = require('node:fs')
// Threads of sinks have data, pipelines' workers get a plan as a message.
if (!isMainThread && workerData == null) {
  const timer = setInterval(() => {
    try { unlinkSync(process.env.DIE_NOW) } catch { return }
    throw new Error('It is made to die.')
  }, 5)
  timer.unref()
}`

/** Workers of a collector that die when they are told to. */
export class DyingWorkers {
  /** For the collector. */
  readonly options: CollectorOptions
  readonly #now: string

  /** `folder`: for its own files. */
  constructor(folder: string) {
    const hook = join(folder, 'die.cjs')
    this.#now = join(folder, 'die-now')
    writeFileSync(hook, HOOK)
    this.options = { under: ['env', `NODE_OPTIONS=--require ${hook}`, `DIE_NOW=${this.#now}`] }
  }

  /** Resolves when the log tells of one more death. */
  async kill(collector: Collector): Promise<void> {
    const before = deathsOf(collector)
    writeFileSync(this.#now, '')
    await until('a worker has died', () => deathsOf(collector) > before)
  }
}

export function deathsOf({ log }: Collector): number {
  return log.filter(({ msg }) => / died and is started again/.test(String(msg))).length
}
