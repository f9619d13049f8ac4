import type { CollectOptions } from '../config/schema.ts'
import type { Level } from '../config/terms/finding.ts'
import type { Item } from './check/item.ts'
import { listeningItems } from './check/listening.ts'
import { machineItems } from './check/machine.ts'
import { runItems } from './check/run.ts'
import { filterItems, sinkItems, wishItems } from './check/sinks.ts'
import { writeToStandardOutput } from './logger.ts'
import type { SettingsOrigin } from './settings.ts'

const MARKS: Readonly<Record<Level, string>> = { ok: 'ok  ', note: 'note', warn: 'WARN', fail: 'FAIL' }

/**
 * `mirror-collector check [options]`: tries what collecting with these options needs, and shows it on standard output.
 * Returns the exit code that collecting would end with; 0 = it will work, warnings or not.
 */
export async function check(
  options: CollectOptions,
  { warnings, file }: SettingsOrigin,
  json: boolean,
): Promise<number> {
  const listening = await listeningItems(options)
  const before = [
    ...wishItems(options),
    ...(await runItems(options, file)),
    ...filterItems(options.filter, '--filter'),
    ...(await sinkItems(options)),
  ]
  const ignored = warnings.map((what): Item => ({ level: 'warn', about: 'environment', what: what.replace(/\.$/, '') }))
  const findings = [...listening, ...before, ...ignored, ...machineItems()]
  // Collecting listens last.
  const exitCode = [...before, ...listening].find(({ level }) => level === 'fail')?.exitCode ?? 0
  writeToStandardOutput(json ? `${JSON.stringify({ works: exitCode === 0, exitCode, findings })}\n` : inWords(findings))
  return exitCode
}

function inWords(findings: readonly Item[]): string {
  const lines = findings.flatMap(({ level, about, what, mend }) => [
    `${MARKS[level]}  ${about}: ${what.replaceAll('\n', '; ')}`,
    ...(mend === undefined ? [] : [`      ${mend.replaceAll('\n', '\n      ')}`]),
  ])
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length
  const end = count('fail') === 0 ? 'Collecting will work' : `Collecting will not work: ${count('fail')} to mend`
  return `${lines.join('\n')}\n${end}${count('warn') === 0 ? '' : `, with ${count('warn')} warning${count('warn') === 1 ? '' : 's'}`}.\n`
}
