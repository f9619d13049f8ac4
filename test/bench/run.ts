/**
 * The benchmarks: npm run bench -- [PART...] [--quick] [--long] [--self]
 * Prints a Markdown table of ratios and verdicts and keeps every single figure in test/bench/results/.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { allocation } from './allocation.ts'
import { devices } from './devices.ts'
import { kafka } from './kafka.ts'
import { live } from './live.ts'
import { memory } from './memory.ts'
import { offline } from './offline.ts'
import { makePlace, type Place } from './place.ts'
import { plot } from './plot.ts'
import { COMMAND } from './receivers.ts'
import { machine, type Row, type Settings, table } from './report.ts'
import { ring } from './ring.ts'
import { select } from './select.ts'
import { spread } from './spread.ts'
import { startup } from './startup.ts'
import { wire } from './wire.ts'

const PARTS = new Map<string, (place: Place, settings: Settings) => Promise<Row[]>>([
  ['wire', (_place, settings) => wire(settings)],
  ['select', (_place, settings) => select(settings)],
  ['startup', startup],
  ['offline', offline],
  ['live', live],
  ['ring', ring],
  ['spread', spread],
  ['plot', plot],
  ['devices', devices],
  ['allocation', allocation],
  ['memory', memory],
  ['kafka', kafka],
])

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean' }, long: { type: 'boolean' }, self: { type: 'boolean' } },
    allowPositionals: true,
  })
  const chosen = positionals.length > 0 ? positionals : [...PARTS.keys()]
  const unknown = chosen.filter((name) => !PARTS.has(name))
  if (unknown.length > 0)
    fail(64, `no such part: ${unknown.join(', ')}`, `The parts are: ${[...PARTS.keys()].join(', ')}`)
  const missing = lacking()
  if (missing.length > 0) fail(69, `this machine lacks: ${missing.join(', ')}`, 'Install them, and run as root.')
  if (values.self !== true && !existsSync(COMMAND)) fail(69, 'the command has not been built', 'Run: npm run build')
  const quick = values.quick ?? false
  const settings: Settings = {
    quick,
    long: values.long ?? false,
    self: values.self ?? false,
    repeats: quick ? 1 : 3,
    seconds: quick ? 2 : 3,
  }
  const place = makePlace()
  const rows: Row[] = []
  for (const name of chosen) {
    process.stderr.write(`${name}\n`)
    rows.push(...(await PARTS.get(name)!(place, settings)))
  }
  keep(rows, settings)
  process.stdout.write(`${machine()}\n\n${table(rows)}\n`)
  process.exit(rows.some(({ holds }) => holds === false) ? 1 : 0)
}

function lacking(): string[] {
  const tools = ['ip', 'ethtool', 'tcpdump'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined)
  return process.getuid?.() === 0 ? tools : ['root', ...tools]
}

function keep(rows: readonly Row[], settings: Settings): void {
  const folder = new URL('results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const date = new Date().toISOString()
  const file = new URL(`${date.replaceAll(':', '')}.json`, folder)
  writeFileSync(file, `${JSON.stringify({ date, machine: machine(), settings, rows }, null, 2)}\n`)
}

function fail(exitCode: number, what: string, mend: string): never {
  process.stderr.write(`${what}\n${mend}\n`)
  process.exit(exitCode)
}

await main()
