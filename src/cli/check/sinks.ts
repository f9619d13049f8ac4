import type { CollectOptions } from '../../config/schema.ts'
import type { SinkText } from '../../config/sink-wish.ts'
import { type Finding, failedBy } from '../../config/terms/finding.ts'
import { compileWish } from '../../pipeline/filter-wish.ts'
import { sinkType } from '../../sinks/registry.ts'
import type { CheckContext } from '../../sinks/sink.ts'
import { sinkWish, sinkWishes } from '../sink-wishes.ts'
import type { Item } from './item.ts'

const NOTHING: readonly Finding[] = [{ level: 'ok', what: 'nothing to look at' }]

/** Whether each sink has what it needs. */
export async function sinkItems(options: CollectOptions): Promise<Item[]> {
  const { out, quarantine } = options
  const items: Item[] = []
  const context: CheckContext = { taken: new Set() }
  for (const sink of quarantine === undefined ? out : [...out, quarantine])
    items.push(...(await itemsOf(sink, context)))
  return items
}

async function itemsOf({ type, name, options }: SinkText, context: CheckContext): Promise<Item[]> {
  const about = `sink ${name}`
  try {
    const findings = (await sinkType(type).check?.(options, context)) ?? NOTHING
    return findings.map((finding) => ({ about, ...finding }))
  } catch (error) {
    return [{ about, ...failedBy(error) }]
  }
}

/** What does not go together, and filters that are none. */
export function wishItems(options: CollectOptions): Item[] {
  try {
    sinkWishes(options, true)
    if (options.quarantine !== undefined) sinkWish(options.quarantine, '--quarantine', true)
    return []
  } catch (error) {
    return [{ about: 'sinks', ...failedBy(error) }]
  }
}

/** Compiles what collecting would compile. */
export function filterItems(expression: string | undefined, option: string): Item[] {
  if (expression === undefined) return []
  try {
    compileWish(expression, option)
    return [{ about: 'filter', level: 'ok', what: `${option}: compiled` }]
  } catch (error) {
    return [{ about: 'filter', ...failedBy(error) }]
  }
}
