import type { CollectOptions } from '../config/schema.ts'
import { systemCallsUnavailable } from '../dgram-extended/libc.ts'
import type { Engine } from '../sources/source.ts'
import { createLogger } from './logger.ts'
import { runPipeline } from './run-pipeline.ts'

/** `mirror-collector [--listen ...] --out ...`: collects until stopped. Returns the exit code. */
export async function collect(options: CollectOptions): Promise<number> {
  const log = createLogger(options.quiet ? 'warn' : options.logLevel)
  const { engine, warning } = chooseEngine(options.engine)
  const source = { engine, listeners: options.listen, buffer: options.buffer }
  await runPipeline(source, options, log, (description) => {
    log.info({ engine, sinks: options.out.map((sink) => sink.name) }, `listening on ${description.join(', ')}`)
    if (warning !== undefined) log.warn(warning)
  })
  return 0
}

function chooseEngine(wanted: 'udp' | 'dgram' | undefined): { engine: Engine; warning?: string } {
  if (wanted !== undefined) return { engine: wanted }
  const reason = systemCallsUnavailable()
  if (reason === undefined) return { engine: 'udp' }
  return { engine: 'dgram', warning: `Using the slower dgram engine: ${reason}` }
}
