import type { CollectOptions } from '../config/schema.ts'
import { liveEngine } from '../sources/registry.ts'
import { createLogger } from './logger.ts'
import { runPipeline } from './run-pipeline.ts'

/** `mirror-collector [--listen ...] --out ...`: collects until stopped. Returns the exit code. */
export async function collect(options: CollectOptions): Promise<number> {
  const log = createLogger(options.quiet ? 'warn' : options.logLevel)
  const { listen: listeners, buffer, interface: named } = options
  const { engine, reason } = liveEngine(options.engine, listeners, named)
  const source = { engine, listeners, buffer, interface: named }
  await runPipeline(source, options, log, (description) => {
    log.info({ engine, sinks: options.out.map((sink) => sink.name) }, `listening on ${description.join(', ')}`)
    if (reason !== undefined) log[reason.level](reason.text)
  })
  return 0
}
