import type { CollectOptions } from '../config/schema.ts'
import { liveEngine } from '../sources/registry.ts'
import { createLogger } from './logger.ts'
import { runPipeline } from './run-pipeline.ts'

/** `mirror-collector [--listen ...] --out ...`: collects until stopped. Returns the exit code. */
export async function collect(options: CollectOptions): Promise<number> {
  const log = createLogger(options.quiet ? 'warn' : options.logLevel)
  const { engine, warning } = liveEngine(options.engine)
  const source = { engine, listeners: options.listen, buffer: options.buffer }
  await runPipeline(source, options, log, (description) => {
    log.info({ engine, sinks: options.out.map((sink) => sink.name) }, `listening on ${description.join(', ')}`)
    if (warning !== undefined) log.warn(warning)
  })
  return 0
}
