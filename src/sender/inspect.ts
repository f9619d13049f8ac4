import { EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import type { FilterInstruction } from '../dgram-extended/libpcap.ts'
import { fitsAlias, readTunnelAlias } from './alias.ts'
import { CommandError, canBeNamed, type Place, runForJson } from './commands.ts'
import { type Direction, isLeftover, tunnelName } from './mirror.ts'
import type { ForeignFilter, Link, MirrorFilter, State, StrandedFilter, Tunnel } from './state.ts'
import { readStranding } from './stranded.ts'

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress']

/** What `ip -j -d -s link show` says of an interface, as far as it is read. */
interface IpLink {
  readonly ifindex: number
  readonly ifname: string
  readonly flags: readonly string[]
  readonly mtu: number
  readonly link_type: string
  readonly address?: string
  readonly link?: string
  readonly master?: string
  readonly ifalias?: string
  readonly linkinfo?: {
    readonly info_kind?: string
    readonly info_data?: {
      readonly id?: number
      readonly port?: number
      readonly remote?: string
      readonly remote6?: string
    }
  }
  readonly stats64?: {
    readonly tx: {
      readonly packets: number
      readonly bytes: number
      readonly errors: number
      readonly dropped: number
    }
  }
}

/** What `tc -j -s filter show` says of a filter. */
interface TcFilter {
  readonly protocol: string
  readonly pref: number
  readonly kind: string
  readonly options?: {
    readonly handle?: string
    readonly fh?: string
    readonly bytecode?: { readonly insns: readonly FilterInstruction[] }
    readonly actions?: readonly TcAction[]
  }
}

interface TcAction {
  readonly kind: string
  readonly to_dev?: string
  readonly cookie?: string
  readonly stats?: { readonly packets: number; readonly bytes: number; readonly drops: number }
}

/** Reads what is there, through `ip` and `tc`; changes nothing. Throws Failure. */
export async function inspect(place: Place): Promise<State> {
  const links = (await list<IpLink>(place, ['ip', '-j', '-d', '-s', 'link', 'show'])).map(toLink)
  const qdiscs = await list<{ kind: string; dev: string }>(place, ['tc', '-j', 'qdisc', 'show'])
  const hooks = new Map<string, 'clsact' | 'ingress'>()
  for (const { kind, dev } of qdiscs) if (kind === 'clsact' || kind === 'ingress') hooks.set(dev, kind)

  const tunnels = links.flatMap((link): Tunnel[] => {
    const record = readTunnelAlias(link.alias)
    return record === undefined || !fitsAlias(link, record.identity) ? [] : [{ link, ...record }]
  })
  const ours = new Set(tunnels.map(({ link }) => link.name))
  const found: Found = { mirrors: [], stranded: [], foreign: [] }
  for (const [device, hook] of hooks) {
    if (ours.has(device) || !canBeNamed(device)) continue
    for (const direction of hook === 'clsact' ? DIRECTIONS : DIRECTIONS.slice(0, 1)) {
      // Without options it is the head that tc shows once for a preference and protocol.
      const all = await list<TcFilter>(place, ['tc', '-s', '-j', 'filter', 'show', 'dev', device, direction])
      for (const filter of all) sort(filter, device, direction, ours, found)
    }
  }
  const leftovers = links.filter(({ name, mac, alias }) => isLeftover(name, mac, alias))
  return {
    links,
    hooks,
    tunnels,
    leftovers,
    mirrors: found.mirrors,
    stranded: found.stranded,
    foreign: found.foreign.filter((filter) => !belongsToOurs(filter, [...found.mirrors, ...found.stranded])),
  }
}

interface Found {
  readonly mirrors: MirrorFilter[]
  readonly stranded: StrandedFilter[]
  readonly foreign: ForeignFilter[]
}

function sort(
  { protocol, pref, kind, options }: TcFilter,
  device: string,
  direction: Direction,
  ours: ReadonlySet<string>,
  { mirrors, stranded, foreign }: Found,
): void {
  const handle = options?.handle ?? options?.fh ?? ''
  const program = options?.bytecode?.insns ?? []
  const filterOf = (tunnel: string, { stats }: TcAction): MirrorFilter => {
    const { packets = 0, bytes = 0, drops = 0 } = stats ?? {}
    const mirrored = { packets, bytes, dropped: drops }
    return { interface: device, direction, tunnel, kind, pref, protocol, handle, program, mirrored }
  }
  const actions = options?.actions?.filter(({ to_dev }) => to_dev !== undefined) ?? []
  const action = actions.find(({ to_dev }) => ours.has(to_dev!)) ?? actions[0]
  if (action?.to_dev !== undefined && ours.has(action.to_dev)) {
    mirrors.push(filterOf(action.to_dev, action))
    return
  }
  const stranding = action === undefined ? undefined : readStranding(action.cookie ?? '', handle, program)
  if (action === undefined || stranding === undefined) {
    foreign.push({ interface: device, direction, pref, kind: options === undefined ? HEAD : kind })
    return
  }
  stranded.push({ ...filterOf(tunnelName(stranding.identity), action), ...stranding })
}

const HEAD = 'head'

/** The head of a filter of ours, or what a mirror without bpf has in front of it, and in its own table. */
function belongsToOurs(filter: ForeignFilter, mirrors: readonly MirrorFilter[]): boolean {
  return mirrors.some((mirror) => {
    if (mirror.interface !== filter.interface || mirror.direction !== filter.direction) return false
    if (mirror.kind !== 'bpf') return filter.pref === mirror.pref || filter.pref === mirror.pref - 1
    return filter.kind === HEAD && filter.pref === mirror.pref
  })
}

function toLink(link: IpLink): Link {
  const { info_kind: kind = '', info_data: data = {} } = link.linkinfo ?? {}
  const { packets = 0, bytes = 0, errors = 0, dropped = 0 } = link.stats64?.tx ?? {}
  return {
    index: link.ifindex,
    name: link.ifname,
    isUp: link.flags.includes('UP'),
    mtu: link.mtu,
    type: link.link_type,
    kind,
    mac: link.address ?? '',
    alias: link.ifalias ?? '',
    lower: link.link,
    master: link.master,
    id: data.id,
    port: data.port,
    remote: data.remote ?? data.remote6,
    sent: { packets, bytes, errors, dropped },
  }
}

async function list<Row>(place: Place, command: readonly string[]): Promise<Row[]> {
  const argv = place.argv(command)
  try {
    const rows = (await runForJson(argv)) as Row[]
    // iproute2 puts an empty object where it leaves an interface out.
    return rows.filter((row) => Object.keys(row as object).length > 0)
  } catch (error) {
    if (error instanceof CommandError) {
      throw new Failure(EXIT_UNAVAILABLE, `Cannot look at ${place.name}: ${error.message}`, 'See that it is there.')
    }
    if (!(error instanceof SyntaxError)) throw error
    throw new Failure(
      EXIT_UNAVAILABLE,
      `"${argv.join(' ')}" prints no JSON: ${error.message}`,
      'Nothing was changed. A newer iproute2 may mend it.',
    )
  }
}
