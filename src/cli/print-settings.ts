import type { Option } from 'commander'
import { defaults } from '../config/json-schema.ts'
import type { Settings } from './settings.ts'
import { yaml } from './yaml.ts'

/**
 * The resulting configuration as a file for --config, with where each value comes from. It has no secrets: settings
 * name the file or the variable that holds a password.
 */
export function printSettings(settings: Settings, table: readonly Option[]): void {
  process.stdout.write(settingsText(settings, table))
}

export function settingsText(settings: Settings, table: readonly Option[]): string {
  const byDefault: Record<string, unknown> = { out: ['pcap'], ...defaults() }
  const lines = table.flatMap((option) => {
    const name = option.attributeName()
    const isGiven = Object.hasOwn(settings.given, name)
    const value = isGiven ? settings.given[name] : byDefault[name]
    if (value === undefined) return []
    const from = isGiven ? settings.placeOf([name]).replace(/: ([a-z-]+: )?$/, '') : 'default'
    return [`# ${from}\n${yaml().stringify({ [option.name()]: value }, { lineWidth: 0 })}`]
  })
  return lines.join('')
}
