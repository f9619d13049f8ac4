import { statSync } from 'node:fs'
import type { Logger } from 'pino'
import type { CollectOptions } from '../config/schema.ts'
import type { SinkText } from '../config/sink-wish.ts'
import { EXIT_CONFIGURATION, Failure, toFailureMessage } from '../config/terms/failure.ts'
import { kebab } from '../config/terms/problem.ts'
import { compileWish } from '../pipeline/filter-wish.ts'
import type { Choice } from '../pipeline/plan.ts'
import type { Supervisor } from '../pipeline/supervisor.ts'
import { sinkWishes, targetOf } from './sink-wishes.ts'

/** Options that change while the collector runs. */
const LIVE = ['vni', 'allowFrom', 'filter', 'sample', 'out']

/** What a configuration that was read again changes. */
export interface Reload {
  readonly choice: Choice
  /** Options, and sinks, that have changed and need a restart. */
  readonly needRestart: readonly string[]
  /** What is in force then. */
  readonly effective: CollectOptions
}

/** While somebody writes a file anew it has nothing in it, which would be every default: no --vni, no --allow-from. Throws Failure. */
export function refuseEmpty(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat?.isFile() && stat.size === 0) {
    throw new Failure(EXIT_CONFIGURATION, `${path} is empty.`, 'Write another file, and put it in its place by mv.')
  }
}

/** What the configuration says now, compared with what is in force. Throws Failure. */
export type Reread = (knowsSenders: boolean) => Reload & {
  /** It is in force. */
  applied(): void
}

/** `knowsSenders`: whether --allow-from can change. Throws Failure where the next configuration cannot be. */
export function reloadOf(now: CollectOptions, next: CollectOptions, knowsSenders: boolean): Reload {
  const names = [...new Set([...Object.keys(now), ...Object.keys(next)])]
  const changed = names.filter((name) => !isSame(optionOf(now, name), optionOf(next, name)))
  const needRestart = changed.filter((name) => !LIVE.includes(name)).map((name) => `--${kebab(name)}`)
  if (changed.includes('allowFrom') && !knowsSenders) needRestart.push('--allow-from, as there was none at the start')
  const out = withStandardOutput(now.out, next.out, needRestart)
  const filter = next.filter === undefined ? undefined : compileWish(next.filter, `--filter "${next.filter}"`)
  const sinks = sinkWishes({ ...now, out }, true)
  const { vni, sample } = next
  const allowFrom = knowsSenders ? next.allowFrom : now.allowFrom
  return {
    choice: { wanted: vni, allowFrom, filter, sample, sinks },
    needRestart,
    effective: { ...now, out, vni, allowFrom, filter: next.filter, sample },
  }
}

/** Who reads standard output has been reading from the start: a sink that writes there stays, and none comes. */
function withStandardOutput(now: readonly SinkText[], next: readonly SinkText[], needRestart: string[]): SinkText[] {
  const there = now.find((sink) => targetOf(sink) === '-')
  const wanted = next.find((sink) => targetOf(sink) === '-')
  if (there === undefined && wanted === undefined) return [...next]
  if (there !== undefined && wanted !== undefined && isSame(identity(there), identity(wanted))) return [...next]
  if (there !== undefined) needRestart.push(`--out ${there.name}, which goes on`)
  if (wanted !== undefined) needRestart.push(`--out ${wanted.name}, which is new`)
  const others = next.filter((sink) => sink !== wanted)
  return there === undefined ? others : [there, ...others]
}

/** Reads the configuration again, and applies it. Says what came of it; a bad one is refused, and the old one goes on. */
export async function reload(supervisor: Supervisor, reread: Reread, log: Logger): Promise<void> {
  try {
    const { choice, needRestart, applied } = reread(supervisor.knowsSenders)
    const { added, removed } = await supervisor.choose(choice)
    applied()
    const sinks = { ...(added.length > 0 && { added }), ...(removed.length > 0 && { removed }) }
    log.info(sinks, 'The configuration was read again.')
    if (needRestart.length > 0) log.warn(`Changed, but only after a restart: ${needRestart.join('; ')}.`)
  } catch (error) {
    const { what, mend } = toFailureMessage(error)
    const why = what.replaceAll('\n', '; ').replace(/\.$/, '')
    log.error(`The configuration is refused, the old one goes on: ${why}. ${mend.replaceAll('\n', ' ')}`)
  }
}

/** All of a sink but what it selects. */
function identity({ type, options, overflow, queue }: SinkText): unknown[] {
  return [type, options, overflow, queue]
}

function optionOf(options: CollectOptions, name: string): unknown {
  return (options as Record<string, unknown>)[name]
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
