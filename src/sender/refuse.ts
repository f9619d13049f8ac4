import { EXIT_UNAVAILABLE, Failure } from '../config/terms/failure.ts'
import { LONGEST_ALIAS, tunnelAlias } from './alias.ts'
import { copyProgramName } from './copy-program.ts'
import { LONGEST_PROGRAM, mirrorProgram } from './filter-steps.ts'
import { type Kernel, moduleName } from './kernel.ts'
import { describeTunnel, type MirrorWish, optionsFingerprint, type TunnelIdentity, tunnelName } from './mirror.ts'
import { difference } from './plan.ts'
import type { Route } from './route.ts'
import { findLink, type Link, type State } from './state.ts'

/** What the wish is held against. */
export interface Surroundings {
  readonly state: State
  /** Undefined where nobody may try. */
  readonly kernel: Kernel | undefined
  readonly route: Route | undefined
  /** Interfaces that have an address. */
  readonly addressed: ReadonlySet<string>
  /** What leads mirror-sender to where the mirror is to be; absent: it is this host. */
  readonly placeOption?: readonly string[] | undefined
}

type Refusal = Failure | undefined

/** Throws a Failure for a mirror that cannot be, or must not be; before anything is touched. */
export function refuse(wish: MirrorWish, around: Surroundings): void {
  for (const check of [
    interfaceIsThere,
    collectorIsReachable,
    kernelHasIt,
    nothingInTheWay,
    noOtherMirror,
    noLoop,
    fits,
  ]) {
    const refusal = check(wish, around)
    if (refusal !== undefined) throw refusal
  }
}

function no(what: string, mend: string): Failure {
  return new Failure(EXIT_UNAVAILABLE, what, mend)
}

function interfaceIsThere({ interface: name }: MirrorWish, { state }: Surroundings): Refusal {
  const link = findLink(state, name)
  if (link === undefined) {
    const names = state.links.filter((each) => !isOurs(state, each)).map((each) => each.name)
    return no(`There is no interface ${name}.`, `Give --interface one of: ${names.join(', ')}.`)
  }
  if (link.type === 'ether' || link.type === 'loopback') return undefined
  return no(
    `${name} carries no Ethernet frames (it is of type ${link.type}); the tunnel carries nothing else.`,
    'Mirror the Ethernet interface that its packets come from or go to.',
  )
}

function collectorIsReachable({ tunnel }: MirrorWish, { route }: Surroundings): Refusal {
  if (route === undefined) {
    return no(
      `No route leads to the collector ${tunnel.collector}.`,
      'Add one (ip route add), or give another --collector.',
    )
  }
  if (!route.isLocal) return undefined
  return no(
    `The collector ${tunnel.collector} is an address of this host: the tunnel would receive its own packets.`,
    'Run the collector on another host, or in a network namespace of its own.',
  )
}

function kernelHasIt(wish: MirrorWish, around: Surroundings): Refusal {
  const { tunnel } = wish
  const { kernel } = around
  if (kernel === undefined) return undefined
  if (kernel.deviceTrouble !== undefined) {
    const module = moduleName(tunnel)
    const mend = `Load it (modprobe ${module}), install the kernel's extra modules, or use another --encapsulation.`
    const what = `This kernel cannot make ${tunnel.encapsulation} devices (${kernel.deviceTrouble})`
    return no(`${what}: module ${module} is missing.`, mend)
  }
  if (kernel.classifiers.length === 0) {
    return no(
      'This kernel has none of the classifiers bpf, u32, flower and matchall, or lacks clsact or the action mirred.',
      'Load them: modprobe -a sch_ingress cls_bpf act_mirred.',
    )
  }
  if (kernel.classifiers.includes('bpf')) return undefined
  return needsBpf(wish, around)
}

/** What the other classifiers cannot do; matchall, the last of them, the least. */
function needsBpf({ interface: name, tunnel, filter }: MirrorWish, { state, kernel, route }: Surroundings): Refusal {
  const load = 'Load it: modprobe cls_bpf.'
  const others = state.tunnels.filter(({ link }) => link.name !== tunnelName(tunnel))
  if (others.length > 0)
    return no('This kernel has no bpf classifier, without which there can be one tunnel only.', load)
  const leavesOut = kernel?.classifiers[0] !== 'matchall'
  if (route !== undefined && carriers(state, route.device).includes(name) && !(leavesOut && route.device === name)) {
    const way = route.device === name ? '' : `, which lies on ${name}`
    const what = `The way to the collector leads through ${route.device}${way}`
    return no(`${what}: without the bpf classifier, which this kernel lacks, the mirror would copy itself.`, load)
  }
  if (filter === undefined && copyProgramName(tunnel.copies ?? {}) === '') return undefined
  return no(
    'This kernel has no bpf classifier, which --filter, --snaplen, --headers and --sample need.',
    'Load it (modprobe cls_bpf), or mirror everything.',
  )
}

/** What others have made where ours would be. */
function nothingInTheWay({ interface: name, directions, tunnel }: MirrorWish, { state }: Surroundings): Refusal {
  const device = tunnelName(tunnel)
  const there = findLink(state, device)
  if (there !== undefined && !isOurs(state, there) && !state.leftovers.includes(there)) {
    return no(`An interface ${device} is there, and not ours.`, 'Rename it: a tunnel of that name is to be made.')
  }
  const rival = state.links.find(
    (link) =>
      link.kind === tunnel.encapsulation && link.id === tunnel.vni && link.port === tunnel.port && link !== there,
  )
  if (rival !== undefined) {
    const mend = 'Give another --vni, or another --port (the collector listens there, too).'
    return no(`VNI ${tunnel.vni} on port ${tunnel.port} is in use by device ${describeLink(state, rival)}.`, mend)
  }
  if (state.hooks.get(name) !== 'ingress' || !directions.includes('egress')) return undefined
  return no(
    `${name} has an ingress qdisc, beside which there can be no clsact, and egress needs that.`,
    `Replace it with clsact, or mirror --direction ingress.`,
  )
}

function describeLink(state: State, link: Link): string {
  const tunnel = state.tunnels.find((own) => own.link === link)
  return tunnel === undefined ? link.name : `${link.name}, a mirror's (${describeTunnel(tunnel.identity)})`
}

function noOtherMirror(wish: MirrorWish, { state, placeOption = [] }: Surroundings): Refusal {
  const tunnel = state.tunnels.find(({ link }) => link.name === tunnelName(wish.tunnel))
  if (tunnel !== undefined && tunnel.fingerprint !== optionsFingerprint(wish.tunnel)) {
    const cutsOtherwise = tunnel.copies !== copyProgramName(wish.tunnel.copies ?? {})
    const which = cutsOtherwise ? '--snaplen, --headers or --sample' : '--source-port, --ttl, --dscp or --mtu'
    // All that is mirrored into it: a tunnel goes with its last mirror.
    const mend = `Take it down first, with all its mirrors: ${downCommand(wish.tunnel, placeOption)}`
    return no(`The tunnel (${describeTunnel(tunnel.identity)}) is there with another ${which}.`, mend)
  }
  const other = difference(state, wish)
  if (other === undefined) return undefined
  const mend = `Take it down first: ${downCommand(wish.tunnel, ['--interface', wish.interface, ...placeOption])}`
  return no(`The mirror of ${wish.interface} (${describeTunnel(wish.tunnel)}) is there and ${other}.`, mend)
}

/** As a shell takes it. */
function downCommand({ encapsulation, collector, port, vni }: TunnelIdentity, where: readonly string[]): string {
  const tunnel = ['--collector', collector, '--vni', `${vni}`, '--encapsulation', encapsulation]
  const ports = port === 0 ? [] : ['--port', `${port}`]
  return ['mirror-sender', 'down', ...where, ...tunnel, ...ports].join(' ')
}

/** Devices behind which a packet looks different: what leaves them cannot be told from other traffic. */
const WRAPPING = new Set(
  'wireguard tun ppp vxlan geneve bareudp gre gretap ip6gre ip6gretap erspan ip6erspan ipip sit ip6tnl vti vti6 xfrm macsec ovpn amt gtp'.split(
    ' ',
  ),
)

/** A mirror of an interface that carries the tunnel leaves the tunnel's packets out; here is what it could not tell. */
function noLoop({ interface: name }: MirrorWish, { state, route, addressed }: Surroundings): Refusal {
  const below = carriers(state, name)
  const own = below.find((device) => state.tunnels.some(({ link }) => link.name === device))
  if (own !== undefined) {
    const what =
      own === name ? `${name} is a tunnel of mirror-sender` : `${name} lies on ${own}, a tunnel of mirror-sender`
    return no(`${what}: the mirror would copy itself.`, 'Mirror the interface whose traffic you want to see.')
  }
  const way = carriers(state, route?.device ?? '')
  const wrapping = way.find((device) => device !== name && WRAPPING.has(findLink(state, device)?.kind ?? ''))
  if (wrapping === undefined || route?.device === name) return undefined
  const couldCarry = [name, findLink(state, name)?.master ?? name].some((device) => addressed.has(device))
  if (!couldCarry && !way.includes(name)) return undefined
  return no(
    `The way to the collector leads through ${wrapping}, whose packets may leave through ${name}: the mirror would copy itself.`,
    `Reach the collector by a route that does not use ${wrapping}, or mirror an interface without addresses.`,
  )
}

/** An interface and all that may carry its packets: what it lies on, and the ports of a bridge or bond. */
function carriers(state: State, name: string): string[] {
  const found = [name]
  for (const device of found) {
    const lower = findLink(state, device)?.lower
    const ports = state.links.filter(({ master }) => master === device).map((link) => link.name)
    const next = [...(lower === undefined ? [] : [lower]), ...ports]
    found.push(...next.filter((each) => !found.includes(each)))
  }
  return found
}

/** Bounds of the kernel that many mirrors would meet. */
function fits({ interface: name, tunnel, filter }: MirrorWish, { state }: Surroundings): Refusal {
  const program = mirrorProgram([...state.tunnels.map(({ identity }) => identity), tunnel], filter)
  const own = state.tunnels.find(({ link }) => link.name === tunnelName(tunnel))
  const clsact = [...(own?.clsact ?? []), findLink(state, name)?.index ?? 0]
  const copies = copyProgramName(tunnel.copies ?? {})
  const alias = tunnelAlias({ identity: tunnel, fingerprint: optionsFingerprint(tunnel), copies, clsact })
  if (program.length <= LONGEST_PROGRAM && alias.length <= LONGEST_ALIAS) return undefined
  return program.length > LONGEST_PROGRAM
    ? no('There are too many tunnels in this network namespace.', 'Let tunnels go to the same collector and port.')
    : no('There are too many interfaces mirrored into this tunnel.', 'Make a second tunnel, with another --vni.')
}

function isOurs(state: State, link: Link): boolean {
  return state.tunnels.some((tunnel) => tunnel.link === link)
}
