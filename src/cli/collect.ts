import { isKafka, networkListeners } from '../config/listen.ts'
import type { CollectOptions } from '../config/schema.ts'
import { type ChosenEngine, liveEngine } from '../sources/registry.ts'
import { createLogger } from './logger.ts'
import { runPipeline } from './run-pipeline.ts'

const ONLY_KAFKA: ChosenEngine = { engine: 'kafka' }

/** `mirror-collector [--listen ...] --out ...`: collects until stopped. Returns the exit code. */
export async function collect(options: CollectOptions): Promise<number> {
  const log = createLogger(options.quiet ? 'warn' : options.logLevel)
  const { buffer, interface: named } = options
  const kafka = options.listen.find(isKafka)
  const listeners = networkListeners(options.listen)
  const { engine, reason } = kafka === undefined ? liveEngine(options.engine, listeners, named) : ONLY_KAFKA
  const source = { engine, listeners, buffer, interface: named, kafka }
  await runPipeline(source, options, log, (description) => {
    log.info({ engine, sinks: options.out.map((sink) => sink.name) }, `listening on ${description.join(', ')}`)
    if (reason !== undefined) log[reason.level](reason.text)
  })
  return 0
}
