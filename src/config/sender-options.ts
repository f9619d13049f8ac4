import { isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import { type HeaderLayer, LARGEST_SAMPLE, LARGEST_SNAPLEN, SMALLEST_SNAPLEN } from '../sender/copy-program.ts'
import { DEFAULT_PORTS, type Direction, type Encapsulation } from '../sender/mirror.ts'
import { Failure } from './terms/failure.ts'
import { problem, usageFailure } from './terms/problem.ts'

export const SENDER_ENCAPSULATIONS = ['vxlan', 'geneve', 'gre', 'erspan'] as const satisfies Encapsulation[]
export const HEADER_LAYERS = ['l2', 'l3', 'l4'] as const satisfies HeaderLayer[]
export const DIRECTIONS = ['both', 'ingress', 'egress'] as const

/** The largest identifier that each encapsulation can carry: 24 bits of VNI, 32 of GRE key, 10 of ERSPAN session. */
const LARGEST_ID: Readonly<Record<Encapsulation, number>> = {
  vxlan: 2 ** 24 - 1,
  geneve: 2 ** 24 - 1,
  gre: 2 ** 32 - 1,
  erspan: 2 ** 10 - 1,
}
const LARGEST_PORT = 65_535
/** IFNAMSIZ without the closing zero. */
const LONGEST_NAME = 15
const LARGEST_PID = 2 ** 22

function choice<const Value extends string>(values: readonly Value[]): z.ZodType<Value, string> {
  return z.string().transform((text, context) => {
    const value = values.find((each) => each === text)
    if (value !== undefined) return value
    context.addIssue(problem(`"${text}" is none of ${values.join(', ')}`, 'Write one of these.'))
    return z.NEVER
  })
}

function integer(from: number, to: number): z.ZodType<number, string> {
  return z.string().transform((text, context) => {
    if (/^\d{1,15}$/.test(text) && Number(text) >= from && Number(text) <= to) return Number(text)
    context.addIssue(
      problem(`"${text}" is not a whole number from ${from} to ${to}`, 'Write a number in that range, in digits.'),
    )
    return z.NEVER
  })
}

const deviceName = z
  .string()
  .refine(
    (name) => name.length > 0 && name.length <= LONGEST_NAME && !/[\s/]/.test(name),
    problem('is no name of an interface', 'See the names with: ip link.'),
  )

/** In the kernel's own spelling, by which a tunnel is found again. */
const address = z.string().transform((text, context) => {
  const [what, mend] = addressProblem(text)
  if (what === undefined) return isIPv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : text
  context.addIssue(problem(`"${text}" ${what}`, mend))
  return z.NEVER
})

function addressProblem(text: string): [undefined] | [string, string] {
  if (!isIPv4(text) && !isIPv6(text)) {
    return ['is not an IP address', 'Names are not looked up: write e.g. --collector 10.0.0.2.']
  }
  if (/^f[e][89ab][0-9a-f]:/i.test(text)) return ['is a link-local address', 'Give the collector a routed address.']
  const first = Number.parseInt(text, 10)
  const isGroup = isIPv4(text) ? first >= 224 : /^ff/i.test(text)
  if (isGroup || text === '0.0.0.0' || text === '::') return ['is no address of one host', 'Give one collector.']
  return [undefined]
}

const ports = z.string().transform((text, context) => {
  const [, low = '', high = ''] = /^(\d{1,5})-(\d{1,5})$/.exec(text) ?? []
  const range = { low: Number(low), high: Number(high) }
  if (low !== '' && range.low > 0 && range.low < range.high && range.high <= LARGEST_PORT) return range
  context.addIssue(problem(`"${text}" is not a range of ports`, 'Write LOW-HIGH, e.g. 49152-65535.'))
  return z.NEVER
})

/** "1/100" -> 100 */
const oneIn = z.string().transform((text, context) => {
  const [, digits = ''] = /^1\/(\d{1,6})$/.exec(text) ?? []
  if (Number(digits) > 0) return Number(digits)
  context.addIssue(problem(`"${text}" is not a part of all flows`, `Write 1/N, N from 1 to ${LARGEST_SAMPLE}.`))
  return z.NEVER
})

/** Where the mirror is: at most one of these; none is this host itself. */
const place = {
  netns: z.string().min(1).optional(),
  pid: integer(1, LARGEST_PID).optional(),
  container: z.string().min(1).optional(),
}
const ONE_PLACE = problem('of --netns, --pid and --container more than one is given', 'Give one of them.')

function hasOnePlace(options: { netns?: unknown; pid?: unknown; container?: unknown }): boolean {
  return [options.netns, options.pid, options.container].filter((each) => each !== undefined).length <= 1
}

const mirror = {
  interface: deviceName,
  collector: address,
  vni: integer(0, 2 ** 32 - 1),
  encapsulation: choice(SENDER_ENCAPSULATIONS).prefault('vxlan'),
  port: integer(1, LARGEST_PORT).optional(),
}

/** What `plan` and `up` take. */
const mirrorOptions = z
  .strictObject({
    ...mirror,
    direction: choice(DIRECTIONS).prefault('both'),
    filter: z.string().optional(),
    sourcePort: ports.optional(),
    ttl: integer(1, 255).optional(),
    dscp: integer(0, 63).optional(),
    mtu: integer(68, 65_535).optional(),
    snaplen: integer(SMALLEST_SNAPLEN, LARGEST_SNAPLEN).optional(),
    headers: choice(HEADER_LAYERS).optional(),
    sample: oneIn.optional(),
    ...place,
  })
  .refine(hasOnePlace, ONE_PLACE)
  .superRefine(({ encapsulation, vni, port, sourcePort, filter }, context) => {
    const complain = (path: string, what: string, mend: string): void => {
      context.addIssue({ code: 'custom', path: [path], message: problem(what, mend) })
    }
    const largest = LARGEST_ID[encapsulation]
    if (vni > largest)
      complain('vni', `${vni} is above ${largest}, the most that ${encapsulation} carries`, 'Choose less.')
    const hasPort = DEFAULT_PORTS[encapsulation] !== 0
    if (port !== undefined && !hasPort) complain('port', `${encapsulation} has no ports`, 'Leave it out.')
    if (sourcePort !== undefined && encapsulation !== 'vxlan') {
      complain('sourcePort', `${encapsulation} devices choose by themselves`, 'Leave it out.')
    }
    if (/(^|[^\w.])vlan([^\w.]|$)/.test(filter ?? '')) {
      const mend = "Mirror the VLAN's own interface, or filter at the collector."
      complain('filter', 'the kernel keeps VLAN tags beside the frame, where the filter cannot look', mend)
    }
  })

/** What `down` and `status` take: what is not given is any. */
const selectionOptions = z
  .strictObject({
    interface: mirror.interface.optional(),
    collector: mirror.collector.optional(),
    vni: mirror.vni.optional(),
    encapsulation: choice(SENDER_ENCAPSULATIONS).optional(),
    port: mirror.port,
    all: z.boolean().default(false),
    json: z.boolean().default(false),
    ...place,
  })
  .refine(hasOnePlace, ONE_PLACE)

export type MirrorOptions = z.output<typeof mirrorOptions>
export type SelectionOptions = z.output<typeof selectionOptions>

export function directionsOf(direction: MirrorOptions['direction']): Direction[] {
  return direction === 'both' ? ['ingress', 'egress'] : [direction]
}

/** Throws a Failure that tells all problems. */
export function parseMirrorOptions(given: unknown): MirrorOptions {
  return parse(mirrorOptions, given)
}

/** Throws a Failure that tells all problems. */
export function parseSelectionOptions(given: unknown): SelectionOptions {
  return parse(selectionOptions, given)
}

function parse<Schema extends z.ZodType>(schema: Schema, given: unknown): z.output<Schema> {
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const { exitCode, message, mend } = usageFailure(result.error)
  // Zod's words for an option that is not given are not for people.
  const what = message.replace(/Invalid input: expected string, received undefined/g, 'is missing')
  throw new Failure(exitCode, what, mend.replace('mirror-collector', 'mirror-sender'))
}
