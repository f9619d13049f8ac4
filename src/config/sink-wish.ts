import { z } from 'zod'
import { SINKS, sinkTypeNamed } from '../sinks/registry.ts'
import type { SinkType, SinkWish } from '../sinks/sink.ts'
import { parseQuery } from './query.ts'
import { looksSecret, quotable, quotablePair } from './quotable.ts'
import { idRanges } from './terms/id-ranges.ts'
import { nearestHint, nearestName } from './terms/nearest.ts'
import { messageOf, problem } from './terms/problem.ts'
import { byteSize } from './terms/units.ts'

/** Smaller, and one large frame would fill it. */
const SMALLEST_QUEUE = 1 << 20
const DEFAULT_QUEUE = 32 << 20
/** All queues lie in one memory, whose places have 32 bits. */
const LARGEST_QUEUE = 1 << 30

/** What every sink takes after `?`. */
export const commonOptions = z.object({
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
  for (const issue of result) context.addIssue({ code: 'custom', ...issue })
  return z.NEVER
})

interface SinkProblem {
  readonly message: string
  /** The setting that it is about. */
  readonly path?: PropertyKey[]
}

/** A list tells what is wrong. */
function parseSink(text: string): SinkText | SinkProblem[] {
  const [, typeName = '', target, query = ''] = /^([a-z]+)(?::([^?]*))?(?:\?(.*))?$/.exec(text) ?? []
  const type = sinkTypeNamed(typeName)
  if (type === undefined) {
    const types = SINKS.map((sink) => sink.type).join(', ')
    const message = problem(
      `"${quotable(text, Object.keys(commonOptions.shape), true)}" names no kind of sink`,
      `There are: ${types}; write e.g. ${SINKS[0]!.example}.`,
    )
    return [{ message, path: ['type'] }]
  }
  const known = knownSettings(type)
  const takesSecrets = known.some(looksSecret)
  const shown = quotable(text, known, takesSecrets)
  const settings = parseQuery(query, (pair) => quotablePair(pair, known, takesSecrets), NO_SETTINGS)
  if (typeof settings === 'string')
    return [{ message: problem(`"${shown}": ${settings}`, `Write e.g. ${type.example}.`) }]
  if (target !== undefined && !type.takesTarget)
    return [{ message: problem(`"${shown}": ${type.type} takes no target`, HOW_PLAIN), path: ['target'] }]
  const common = commonOptions.safeParse(settings)
  const { vni: _vni, filter: _filter, overflow: _overflow, queue: _queue, ...own } = settings
  const options = type.options.safeParse({ ...own, ...(target ? { target } : {}) })
  const issues = [...(common.error?.issues ?? []), ...(options.error?.issues ?? [])]
  if (!common.success || !options.success) return issues.flatMap((issue) => describe(shown, type, issue))
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

const HOW_PASSWORD = 'Name where the password is: password-file=FILE or password-env=VARIABLE.'
const HOW_PLAIN = 'Write its name alone.'
/** The target stands in front of `?`. */
const NO_SETTINGS: readonly string[] = ['target']

/** `shown`: the text as a message may quote it. */
function describe(shown: string, type: SinkType<unknown>, issue: z.core.$ZodIssue): SinkProblem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownSetting(shown, type, key))
  const [what = '', mend] = messageOf(issue).split('\n')
  const isMissingTarget = issue.path[0] === 'target' && what === 'is missing'
  const key = isMissingTarget
    ? 'its target '
    : issue.path[0] === undefined || issue.path[0] === 'target'
      ? ''
      : `${String(issue.path[0])}: `
  const message = problem(`"${shown}": ${key}${what}`, mend ?? `Write e.g. ${type.example}.`)
  return [{ message, path: issue.path.slice(0, 1) }]
}

function unknownSetting(shown: string, type: SinkType<unknown>, key: string): SinkProblem {
  const known = knownSettings(type)
  const isPassword = looksSecret(key) && known.some(looksSecret)
  const what = `"${shown}": ${type.type} has no setting "${key}"${isPassword ? '' : nearestHint(key, known)}`
  return { message: problem(what, isPassword ? HOW_PASSWORD : howToSet(type, key, known)), path: [key] }
}

/** What people call a target where it needs a name. */
const TARGET_WORDS = ['path', 'file', 'filename', 'name', 'device', 'dev', 'address']

function howToSet(type: SinkType<unknown>, key: string, known: readonly string[]): string {
  if (type.takesTarget && TARGET_WORDS.includes(key))
    return `What it writes to is its target: ${type.type}:TARGET, in YAML {type: ${type.type}, target: TARGET}.`
  if (nearestName(key, known) !== undefined) return `Write e.g. ${type.example}.`
  return `Its settings are ${known.join(', ')}. Write e.g. ${type.example}.`
}

function knownSettings(type: SinkType<unknown>): string[] {
  return [...Object.keys(commonOptions.shape), ...sinkSettings(type)]
}

/** What a kind of sink takes after `?`, beside what all take. */
function sinkSettings(type: SinkType<unknown>): string[] {
  const { shape = {} } = type.options as z.ZodType & { readonly shape?: Record<string, unknown> }
  return Object.keys(shape).filter((key) => !NO_SETTINGS.includes(key))
}
