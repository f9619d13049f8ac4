import { isKafka, networkListeners } from '../config/listen.ts'
import type { CollectOptions } from '../config/schema.ts'
import { giveFreedMemoryBack } from '../dgram-extended/malloc.ts'
import { type ChosenEngine, liveEngine } from '../sources/registry.ts'
import { createLogger } from './logger.ts'
import { type Reread, reloadOf } from './reload.ts'
import { runPipeline } from './run-pipeline.ts'
import type { SettingsOrigin } from './settings.ts'
import { unreachableIds } from './unreachable-ids.ts'
import { workersOf } from './workers.ts'

const ONLY_KAFKA: ChosenEngine = { engine: 'kafka' }

/**
 * `mirror-collector [--listen ...] --out ...`: collects until stopped. Returns the exit code. `read`: reads
 * the configuration again, where it comes from a file.
 */
export async function collect(
  options: CollectOptions,
  { warnings, file }: SettingsOrigin,
  read?: () => CollectOptions,
): Promise<number> {
  giveFreedMemoryBack()
  const log = createLogger(options.quiet ? 'warn' : options.logLevel)
  const { buffer, interface: named } = options
  const kafka = options.listen.find(isKafka)
  const listeners = networkListeners(options.listen)
  const { engine, reason } = kafka === undefined ? liveEngine(options.engine, listeners, named) : ONLY_KAFKA
  const source = { engine, listeners, buffer, interface: named, kafka }
  const workers = workersOf(options, engine, listeners)
  let inForce = options
  const reread: Reread = (knowsSenders) => {
    const reload = reloadOf(inForce, read!(), knowsSenders)
    const applied = () => {
      inForce = reload.effective
    }
    return { ...reload, applied }
  }
  const announce = (description: readonly string[]): void => {
    const sinks = options.out.map((sink) => sink.name)
    log.info({ engine, ...(workers > 1 && { workers }), sinks }, `listening on ${description.join(', ')}`)
    for (const warning of warnings) log.warn(warning)
    if (reason !== undefined) log[reason.level](reason.text)
    const unreachable = unreachableIds(options.vni, listeners)
    // Inside of other tunnels there may be GRE.
    if (unreachable !== undefined && options.depth === undefined) log.warn(unreachable)
  }
  await runPipeline(source, { ...options, config: file }, log, announce, read && reread)
  return 0
}
