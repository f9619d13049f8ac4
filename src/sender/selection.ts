import type { Direction, Encapsulation, TunnelIdentity } from './mirror.ts'
import type { MirrorFilter, SentCounts, State, StrandedFilter, Tunnel } from './state.ts'

/** Which mirrors are meant; what is not given is any. */
export interface Selection {
  readonly interface?: string | undefined
  readonly collector?: string | undefined
  readonly vni?: number | undefined
  readonly encapsulation?: Encapsulation | undefined
  readonly port?: number | undefined
}

export interface Selected {
  readonly mirrors: readonly MirrorFilter[]
  /** Tunnels that nothing leads into: left by a crash, or by an interface that is gone. */
  readonly orphans: readonly Tunnel[]
  readonly stranded: readonly StrandedFilter[]
}

export function select(state: State, wanted: Selection): Selected {
  const tunnels = state.tunnels.filter(({ identity }) => fits(identity, wanted))
  const names = new Set(tunnels.map(({ link }) => link.name))
  const isThere = (mirror: MirrorFilter): boolean =>
    wanted.interface === undefined || mirror.interface === wanted.interface
  const used = new Set(state.mirrors.map(({ tunnel }) => tunnel))
  return {
    mirrors: state.mirrors.filter((mirror) => names.has(mirror.tunnel) && isThere(mirror)),
    orphans: tunnels.filter(({ link }) => !used.has(link.name)),
    stranded: state.stranded.filter((filter) => fits(filter.identity, wanted) && isThere(filter)),
  }
}

/** A mirror, as `status` shows it. */
export interface MirrorStatus {
  /** Null where nothing leads into the tunnel any more. */
  readonly interface: string | null
  readonly encapsulation: Encapsulation
  readonly collector: string
  readonly port: number
  readonly vni: number
  readonly device: string
  readonly up: boolean
  /** What is done to copies: null, or "c96l4s100": cut at 96 bytes, behind the fourth layer's header, one flow in 100 sent. */
  readonly copies: string | null
  /** Of each direction that is mirrored, what the kernel counted since `up`. */
  readonly mirrored: Partial<Record<Direction, MirrorFilter['mirrored']>>
  /** By the tunnel's device, for all interfaces that are mirrored into it. */
  readonly sent: SentCounts
  /** Only where others have taken the tunnel's device away: nothing is copied. */
  readonly stranded?: true
}

export function statusOf(state: State, selected: Selected): MirrorStatus[] {
  const row = (tunnel: Tunnel, device: string | null): MirrorStatus => {
    const { encapsulation, collector, port, vni } = tunnel.identity
    const mirrored: MirrorStatus['mirrored'] = {}
    for (const mirror of selected.mirrors) {
      if (mirror.interface === device && mirror.tunnel === tunnel.link.name)
        mirrored[mirror.direction] = mirror.mirrored
    }
    const { name, isUp, sent } = tunnel.link
    const copies = tunnel.copies === '' ? null : tunnel.copies
    return { interface: device, encapsulation, collector, port, vni, device: name, up: isUp, copies, mirrored, sent }
  }
  const mirrors = state.tunnels.flatMap((tunnel) => {
    const into = selected.mirrors.filter((mirror) => mirror.tunnel === tunnel.link.name)
    return [...new Set(into.map((mirror) => mirror.interface))].map((device) => row(tunnel, device))
  })
  return [...mirrors, ...selected.orphans.map((tunnel) => row(tunnel, null)), ...strandedRows(selected.stranded)]
}

const NOTHING_SENT: SentCounts = { packets: 0, bytes: 0, errors: 0, dropped: 0 }

/** One for each interface and tunnel. */
function strandedRows(stranded: readonly StrandedFilter[]): MirrorStatus[] {
  const rows = new Map<string, MirrorStatus>()
  for (const { interface: device, tunnel, identity, direction, mirrored } of stranded) {
    const { encapsulation, collector, port, vni } = identity
    const row = { interface: device, encapsulation, collector, port, vni, device: tunnel, up: false, copies: null }
    const key = `${device} ${tunnel}`
    const directions = { ...rows.get(key)?.mirrored, [direction]: mirrored }
    rows.set(key, { ...row, mirrored: directions, sent: NOTHING_SENT, stranded: true })
  }
  return [...rows.values()]
}

function fits(identity: TunnelIdentity, wanted: Selection): boolean {
  return (['collector', 'vni', 'encapsulation', 'port'] as const).every(
    (key) => wanted[key] === undefined || wanted[key] === identity[key],
  )
}
