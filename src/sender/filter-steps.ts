import type { FilterInstruction } from '../dgram-extended/libpcap.ts'
import { toBytecode } from './classic-bpf.ts'
import { exclusionBlocks, withoutBlocks } from './exclusion.ts'
import { actionIndex, type Direction, filterHandle, type TunnelIdentity, tunnelName } from './mirror.ts'
import { isPlain, removePlainMirror } from './plain-steps.ts'
import type { MirrorFilter, State, Tunnel } from './state.ts'
import type { Step } from './step.ts'
import { actionCookie } from './stranded.ts'

/**
 * Where our filters stand among others: in front of them, as what they take from a packet's way would be missing, and away
 * from the places that tools like: 1, and 49152 downwards, which the kernel hands out.
 */
const OUR_PREF = 77
const MATCH = 0x06
const WHOLE = 0xffffffff
/** The kernel takes 4096 instructions, but tc's message for a filter has 16384 bytes, 8 for each and some for the rest. */
export const LONGEST_PROGRAM = 2000

/** Where a mirror's filter is, and what it does. */
interface Filter {
  readonly device: string
  readonly direction: Direction
  readonly pref: number
  readonly tunnel: TunnelIdentity
  readonly program: readonly FilterInstruction[]
}

/** First every tunnel's own packets are left out, then the user's filter decides. */
export function mirrorProgram(
  excluded: readonly TunnelIdentity[],
  filter: readonly FilterInstruction[] | undefined,
): FilterInstruction[] {
  const wanted = filter ?? [{ code: MATCH, jt: 0, jf: 0, k: WHOLE }]
  return [...exclusionBlocks(excluded), ...wanted]
}

/** The preference for a new filter of ours. */
export function choosePref(state: State, device: string, direction: Direction): number {
  const here = (filter: { interface: string; direction: Direction }): boolean =>
    filter.interface === device && filter.direction === direction
  const ours = state.mirrors.find((mirror) => here(mirror) && mirror.kind === 'bpf')
  if (ours !== undefined) return ours.pref
  const taken = new Set(state.foreign.filter(here).map(({ pref }) => pref))
  return freePref(taken, 1)
}

/**
 * The preference for a new mirror without bpf, which takes one more in front of it. The kernel keeps the tables of u32 for
 * both directions in one place, by preference, and lists those of one direction in the other: no preference is used twice.
 */
export function choosePlainPref(state: State, device: string, direction: Direction): number {
  const taken = new Set(state.foreign.filter((filter) => filter.interface === device).map(({ pref }) => pref))
  const last = freePref(taken, 4)
  return direction === 'ingress' ? last : last - 2
}

/** The last of so many preferences in a row that are free: in front of all others, or where there is room. */
function freePref(taken: ReadonlySet<number>, count: number): number {
  const last = Math.min(OUR_PREF + 1, ...taken) - 1
  if (last >= count) return last
  for (let pref = OUR_PREF; ; pref++) {
    if (Array.from({ length: count }, (_, i) => pref - i).every((each) => !taken.has(each))) return pref
  }
}

/** `clsactIsOurs`: see Stranding. The kernel keeps the cookie where the filter is replaced. */
export function addMirror(filter: Filter, clsactIsOurs: boolean): Step {
  const { device, direction, pref, tunnel } = filter
  const cookie = ['cookie', actionCookie(tunnel, clsactIsOurs)]
  return {
    argv: [...filterCommand('add', filter), ...cookie],
    undo: removal(device, direction, pref, handleText(tunnel)),
  }
}

export function removeMirror(mirror: MirrorFilter, tunnels: readonly Tunnel[]): Step[] {
  const { interface: device, direction, pref, handle } = mirror
  const tunnel = tunnels.find(({ link }) => link.name === mirror.tunnel)
  const { kind } = mirror
  if (isPlain(kind) && tunnel !== undefined) return removePlainMirror(kind, device, direction, pref, tunnel.identity)
  return [{ argv: removal(device, direction, pref, handle), undo: undefined }]
}

/** Gives mirrors that are there, into tunnels that stay, the programs that leave just these tunnels out. */
export function excludeFrom(
  mirrors: readonly MirrorFilter[],
  tunnels: readonly Tunnel[],
  excluded: readonly TunnelIdentity[],
): Step[] {
  return mirrors.flatMap((mirror) => {
    const tunnel = tunnels.find(({ link }) => link.name === mirror.tunnel)
    if (mirror.kind !== 'bpf' || tunnel === undefined) return []
    const program = mirrorProgram(excluded, withoutBlocks(mirror.program))
    if (toBytecode(program) === toBytecode(mirror.program)) return []
    const { interface: device, direction, pref } = mirror
    const filter = { device, direction, pref, tunnel: tunnel.identity }
    return [
      {
        argv: filterCommand('replace', { ...filter, program }),
        undo: filterCommand('replace', { ...filter, program: mirror.program }),
      },
    ]
  })
}

function filterCommand(verb: 'add' | 'replace', { device, direction, pref, tunnel, program }: Filter): string[] {
  const where = ['dev', device, direction, 'pref', String(pref), 'protocol', 'all', 'handle', handleText(tunnel)]
  const index = String(actionIndex(tunnel, device, direction))
  // `continue`: filters of others behind ours see the packet, too.
  const action = ['action', 'mirred', 'egress', 'mirror', 'index', index, 'dev', tunnelName(tunnel), 'continue']
  return ['tc', 'filter', verb, ...where, 'bpf', 'bytecode', toBytecode(program), ...action]
}

function removal(device: string, direction: Direction, pref: number, handle: string): string[] {
  const where = ['dev', device, direction, 'pref', String(pref), 'protocol', 'all', 'handle', handle]
  return ['tc', 'filter', 'del', ...where, 'bpf']
}

function handleText(tunnel: TunnelIdentity): string {
  return `0x${filterHandle(tunnel).toString(16)}`
}
