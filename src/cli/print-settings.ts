import type { Option } from 'commander'
import { defaults } from '../config/json-schema.ts'
import { writeToStandardOutput } from './logger.ts'
import type { Settings } from './settings.ts'
import { writeStandardOutput } from './standard-output.ts'
import { yaml } from './yaml.ts'

/**
 * The resulting configuration as a file for --config, with where each value comes from; as JSON without that. It has no
 * secrets: settings name the file or the variable that holds a password.
 */
export function printSettings(settings: Settings, table: readonly Option[], json: boolean): void {
  if (json) writeToStandardOutput(settingsJson(settings, table))
  else writeStandardOutput(settingsText(settings, table))
}

export function settingsText(settings: Settings, table: readonly Option[]): string {
  const lines = valuesOf(settings, table).map(({ option, value, isGiven }) => {
    const from = isGiven ? settings.placeOf([option.attributeName()]).replace(/: ([a-z-]+: )?$/, '') : 'default'
    return `# ${from}\n${yaml().stringify({ [option.name()]: value }, { lineWidth: 0 })}`
  })
  return lines.join('')
}

/** YAML, too: --config reads it. */
function settingsJson(settings: Settings, table: readonly Option[]): string {
  const entries = valuesOf(settings, table).map(({ option, value }) => [option.name(), value])
  return `${JSON.stringify(Object.fromEntries(entries))}\n`
}

interface Value {
  readonly option: Option
  readonly value: unknown
  readonly isGiven: boolean
}

function valuesOf(settings: Settings, table: readonly Option[]): Value[] {
  const byDefault: Record<string, unknown> = { out: ['pcap'], ...defaults() }
  return table.flatMap((option) => {
    const name = option.attributeName()
    const isGiven = Object.hasOwn(settings.given, name)
    const value = isGiven ? settings.given[name] : byDefault[name]
    return value === undefined ? [] : [{ option, value, isGiven }]
  })
}
