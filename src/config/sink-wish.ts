import { z } from 'zod'
import { SINKS, sinkTypeNamed } from '../sinks/registry.ts'
import type { SinkType, SinkWish } from '../sinks/sink.ts'
import { idRanges } from './terms/id-ranges.ts'
import { problem } from './terms/problem.ts'
import { byteSize } from './terms/units.ts'

/** Smaller, and one large frame would fill it. */
const SMALLEST_QUEUE = 1 << 20
const DEFAULT_QUEUE = 32 << 20
/** All queues lie in one memory, whose places have 32 bits. */
const LARGEST_QUEUE = 1 << 30

/** What every sink takes after `?`. */
const commonOptions = z.object({
  vni: idRanges.optional(),
  filter: z.string().optional(),
  overflow: z.enum(['drop', 'block']).optional(),
  queue: byteSize
    .refine((bytes) => bytes >= SMALLEST_QUEUE, 'is below 1MiB\nWrite e.g. queue=16MiB.')
    .refine((bytes) => bytes <= LARGEST_QUEUE, 'is above 1GiB\nWrite e.g. queue=256MiB.')
    .optional(),
})

/** What a `--out` says, before it is known whether frames come from the network. */
export type SinkText = Omit<SinkWish, 'common' | 'filter'> & {
  /** As the user wrote it. */
  readonly filter: string | undefined
  readonly overflow: 'drop' | 'block' | undefined
  readonly queue: number
}

/** `TYPE[:TARGET][?key=value&key=value]`. */
export const sinkText: z.ZodType<SinkText, string> = z.string().transform((text, context) => {
  const result = parseSink(text)
  if (!Array.isArray(result)) return result
  for (const message of result) context.addIssue(message)
  return z.NEVER
})

/** A list tells what is wrong. */
function parseSink(text: string): SinkText | string[] {
  const [, typeName = '', target, query = ''] = /^([a-z]+)(?::([^?]*))?(?:\?(.*))?$/.exec(text) ?? []
  const type = sinkTypeNamed(typeName)
  if (type === undefined) {
    const types = SINKS.map((sink) => sink.type).join(', ')
    return [problem(`"${text}" names no kind of sink`, `There are: ${types}; write e.g. ${SINKS[0]!.example}.`)]
  }
  const settings = parseQuery(query)
  if (typeof settings === 'string') return [problem(`"${text}": ${settings}`, `Write e.g. ${type.example}.`)]
  if (target !== undefined && !type.takesTarget) return [problem(`"${text}": ${type.type} takes no target`, HOW_PLAIN)]
  const common = commonOptions.safeParse(settings)
  const { vni: _vni, filter: _filter, overflow: _overflow, queue: _queue, ...own } = settings
  const options = type.options.safeParse({ ...own, ...(target ? { target } : {}) })
  const issues = [...(common.error?.issues ?? []), ...(options.error?.issues ?? [])]
  if (!common.success || !options.success) return issues.map((issue) => describe(text, type, issue))
  return {
    type: type.type,
    name: text,
    options: options.data,
    wanted: common.data.vni ?? [],
    filter: common.data.filter,
    overflow: common.data.overflow,
    queue: common.data.queue ?? DEFAULT_QUEUE,
  }
}

const HOW_PLAIN = 'Write its name alone.'
/** The target stands in front of `?`; an object would swallow the other without a word. */
const NO_SETTINGS: readonly string[] = ['target', '__proto__']

function parseQuery(query: string): Record<string, string> | string {
  const settings: Record<string, string> = {}
  for (const pair of pairsOf(query)) {
    const at = pair.indexOf('=')
    if (at < 1) return `"${pair}" is not key=value`
    const key = pair.slice(0, at)
    if (NO_SETTINGS.includes(key)) return `"${key}" is no setting`
    if (Object.hasOwn(settings, key)) return `"${key}" is given twice`
    try {
      settings[key] = decodeURIComponent(pair.slice(at + 1))
    } catch {
      return `"${pair}" has a % that no two hex digits follow; %25 is the sign itself`
    }
  }
  return settings
}

/** An `&` stands between settings where `key=` follows; inside a filter, as in `tcp[13] & 2 != 0`, it is the filter's. */
function pairsOf(query: string): string[] {
  const pairs: string[] = []
  for (const part of query.split('&')) {
    const last = pairs.length - 1
    if (last >= 0 && pairs[last]!.startsWith('filter=') && !/^[a-z][a-z-]*=/.test(part)) pairs[last] += `&${part}`
    else pairs.push(part)
  }
  return pairs.map((pair) => pair.replace(/&+$/, '')).filter((pair) => pair !== '')
}

function describe(text: string, type: SinkType<unknown>, issue: z.core.$ZodIssue): string {
  const [what = '', mend] = issue.message.split('\n')
  const key = issue.path[0] === undefined || issue.path[0] === 'target' ? '' : `${String(issue.path[0])}: `
  return problem(`"${text}": ${key}${what}`, mend ?? `Write e.g. ${type.example}.`)
}
