import type { DecapOptions } from '../config/schema.ts'
import type { SinkText } from '../config/sink-wish.ts'
import { EXIT_IO, Failure } from '../config/terms/failure.ts'
import { sinkType } from '../sinks/registry.ts'
import { createLogger } from './logger.ts'
import { runPipeline } from './run-pipeline.ts'
import type { SettingsOrigin } from './settings.ts'

/** `mirror-collector decap FILE|- --out ...`: the same pipeline over a capture file. Returns the exit code. */
export async function decap(options: DecapOptions, { warnings, file }: SettingsOrigin): Promise<number> {
  const log = createLogger(options.quiet ? 'error' : options.logLevel)
  const source = { engine: 'file' as const, listeners: options.listen, buffer: 0, file: options.file }
  const { problem, report, stopped } = await runPipeline(source, { ...options, config: file }, log, (description) => {
    log.debug(`reading ${description.join(', ')}`)
    for (const warning of warnings) log.warn(warning)
  })
  if (problem !== undefined) {
    throw new Failure(EXIT_IO, problem, 'Everything in front of that place has been delivered.')
  }
  const unwritten = report.sinks.filter((sink) => (sink.dropped['sink-error'] ?? 0) > 0)
  if (unwritten.length > 0 && !stopped) {
    const names = unwritten.map((sink) => `${sink.sink} (${sink.dropped['sink-error']} frames)`)
    const mends = new Set(unwritten.map(({ sink }) => mendOf(options.out.find(({ name }) => name === sink))))
    throw new Failure(EXIT_IO, `Not all could be written: ${names.join(', ')}.`, [...mends].join(' '))
  }
  return 0
}

/** What is no sink of the user's is the quarantine, a file. */
function mendOf(sink: SinkText | undefined): string {
  const mend = sink && sinkType(sink.type).whenUnwritten?.(sink.options)
  return mend ?? 'Make room, or choose another place.'
}
