import { isIP } from 'node:net'
import { z } from 'zod'
import { CidrList } from '../frames/cidr-list.ts'
import { LONGEST_WINDOW_MS } from '../frames/recent-frames.ts'
import type { Listener } from '../sources/source.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'
import { httpListen, tcpPort } from './http-listen.ts'
import { isKafka, type ListenWish, listener, listenWish, networkListeners } from './listen.ts'
import { quarantine } from './quarantine.ts'
import { sinkText } from './sink-wish.ts'
import { idRanges } from './terms/id-ranges.ts'
import { macAddress } from './terms/mac-address.ts'
import { type Origin, problem, usageFailure } from './terms/problem.ts'
import { byteSize, duration, positiveInteger } from './terms/units.ts'
import { user } from './user.ts'

const DEFAULT_LISTEN = ':4789'
const DEFAULT_BUFFER = '64MiB'
/** The kernel keeps twice the size in an int. */
const LARGEST_BUFFER = 2 ** 30 - 1
/** tcpdump's default, and the most that readers of pcap files take. */
const LARGEST_SNAP_LENGTH = 262_144
export const TIMESTAMPS = ['arrival', 'source'] as const
export const IP_FRAMES = ['ethernet', 'raw'] as const
export const FCS_CHOICES = ['keep', 'auto', 'strip'] as const
/** Flows are told apart by 32 bits. */
const LARGEST_SAMPLE = 2 ** 32
const MOST_WORKERS = 64
/** Link, network, transport. */
export const HEADER_LAYERS = ['l2', 'l3', 'l4'] as const
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

const networks = z.string().transform((text, context) => {
  const list = text.split(',').map((part) => part.trim())
  try {
    new CidrList(list)
    return list
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    context.addIssue(problem(error.message, 'Write e.g. --allow-from 10.0.0.0/8,2001:db8::/32.'))
    return z.NEVER
  }
})

/** Infinity = all the tunnels there are. */
const depth = z.union([z.literal('max').transform(() => Number.POSITIVE_INFINITY), positiveInteger], {
  error: problem('is neither a whole number above 0 nor max', 'Write e.g. --depth 2; leave it out for one tunnel.'),
})

/** "1/100" -> 100. */
const sample = z.string().transform((text, context) => {
  const [, number] = /^1\/(\d+)$/.exec(text) ?? []
  if (number !== undefined && Number(number) > 0 && Number(number) <= LARGEST_SAMPLE) return Number(number)
  context.addIssue(problem(`"${text}" is not one part of some`, 'Write e.g. --sample 1/100: one flow of a hundred.'))
  return z.NEVER
})

/** What both commands that run a pipeline take. */
const pipelineOptions = {
  out: z.array(sinkText).min(1),
  vni: idRanges.default([]),
  allowFrom: networks.default([]),
  strict: z.boolean().default(false),
  greKeyMode: z.enum(['key', 'vsid']).default('key'),
  depth: depth.optional(),
  filter: z.string().optional(),
  sample: sample.optional(),
  dedup: duration
    .refine(
      (window) => window <= LONGEST_WINDOW_MS,
      problem('is above 10 s', 'Copies of a frame come within milliseconds: write e.g. --dedup 50ms.'),
    )
    .optional(),
  quarantine: quarantine.optional(),
  snaplen: positiveInteger
    .refine(
      (bytes) => bytes <= LARGEST_SNAP_LENGTH,
      problem(`is above ${LARGEST_SNAP_LENGTH}`, 'Leave it out to keep whole frames.'),
    )
    .default(LARGEST_SNAP_LENGTH),
  timestamps: z.enum(TIMESTAMPS).default('arrival'),
  ipFrames: z.enum(IP_FRAMES).default('ethernet'),
  ethernetSource: macAddress.optional(),
  ethernetDestination: macAddress.optional(),
  fcs: z.enum(FCS_CHOICES).default('keep'),
  headers: z.enum(HEADER_LAYERS).optional(),
  fixChecksums: z.boolean().default(false),
  count: positiveInteger.default(Number.POSITIVE_INFINITY),
  duration: duration.optional(),
  stats: duration.optional(),
  http: httpListen.optional(),
  report: z
    .string()
    .refine((path) => path !== '', problem('names no file', 'Write e.g. --report report.json; - is standard output.'))
    .optional(),
  logLevel: z.enum(LOG_LEVELS).default('info'),
  quiet: z.boolean().default(false),
}

export const collectOptions = z.strictObject({
  ...pipelineOptions,
  listen: z
    .array(listenWish)
    .refine(
      (wishes) => wishes.length === 1 || !wishes.some(isKafka),
      problem('a topic beside other things to listen on', 'Run a collector for each.'),
    )
    .refine(areDistinct, problem('the same address and port twice', 'Give each --listen once.'))
    .refine(
      takesEachPacketOnce,
      problem('an IP protocol at any address, and at one beside it', 'Leave one out: each would get its own copy.'),
    )
    .prefault([DEFAULT_LISTEN]),
  healthPort: tcpPort.optional(),
  engine: z.enum(['udp', 'ring', 'auto', 'dgram']).optional(),
  interface: z.string().min(1).optional(),
  buffer: byteSize
    .refine(
      (bytes) => bytes <= LARGEST_BUFFER,
      problem('is above what the kernel takes, 1 GiB less one byte', 'Write e.g. --buffer 256MiB.'),
    )
    .prefault(DEFAULT_BUFFER),
  workers: positiveInteger
    .refine(
      (workers) => workers <= MOST_WORKERS,
      problem(`is above ${MOST_WORKERS}`, 'Write e.g. --workers 4: as many as there are processors for them.'),
    )
    .default(1),
  user: user.optional(),
})

export const decapOptions = z.strictObject({
  ...pipelineOptions,
  file: z.string(),
  listen: z.array(listener).default([]),
})

export type CollectOptions = z.output<typeof collectOptions>
export type DecapOptions = z.output<typeof decapOptions>

/** What the user gave, as the schema understands it. `origin`: where it came from. Throws a Failure that tells all problems. */
export function parseOptions<Schema extends z.ZodType>(
  schema: Schema,
  given: unknown,
  origin?: Origin,
): z.output<Schema> {
  const result = schema.safeParse(given)
  if (result.success && (origin === undefined || origin.problems.length === 0)) return result.data
  throw usageFailure(result.error ?? { issues: [] }, origin)
}

/** Port 0 lets the kernel choose, and it chooses different ones. */
function areDistinct(wishes: readonly ListenWish[]): boolean {
  const named = networkListeners(wishes)
    .filter(({ port }) => port !== 0)
    .map((each) => `${protocolOf(each)} ${each.host ?? '*'} ${each.port}`)
  return new Set(named).size === named.length
}

/** The kernel refuses a UDP port twice, but every raw socket gets a copy of its own. The same host twice is refused above. */
function takesEachPacketOnce(wishes: readonly ListenWish[]): boolean {
  const raw = networkListeners(wishes).filter((each) => protocolOf(each) !== undefined)
  return !raw.some((one) =>
    raw.some((other) => one !== other && protocolOf(one) === protocolOf(other) && covers(one.host, other.host)),
  )
}

function covers(host: string | undefined, other: string | undefined): boolean {
  if (host === other) return false
  if (host === undefined) return true
  return (host === '0.0.0.0' && isIP(other ?? '') === 4) || (host === '::' && isIP(other ?? '') === 6)
}

function protocolOf({ encapsulation }: Listener): number | undefined {
  return ENCAPSULATIONS[encapsulation]!.ipProtocol
}
