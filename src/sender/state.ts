import type { FilterInstruction } from '../dgram-extended/libpcap.ts'
import type { Direction, TunnelIdentity } from './mirror.ts'
import type { Stranding } from './stranded.ts'

/** What the kernel has in one network namespace, as far as mirrors are concerned. State is kept nowhere else. */
export interface State {
  readonly links: readonly Link[]
  /** Interfaces with clsact, or with its elder sister `ingress`, which has one direction only. */
  readonly hooks: ReadonlyMap<string, 'clsact' | 'ingress'>
  readonly tunnels: readonly Tunnel[]
  /** Devices that broke off in the making: nothing leads into them. */
  readonly leftovers: readonly Link[]
  readonly mirrors: readonly MirrorFilter[]
  readonly stranded: readonly StrandedFilter[]
  /** Filters of others, on interfaces that are not our tunnels. */
  readonly foreign: readonly ForeignFilter[]
}

export interface Link {
  readonly index: number
  readonly name: string
  readonly isUp: boolean
  readonly mtu: number
  /** ether, loopback, none ... */
  readonly type: string
  /** vxlan, veth, bridge ...; empty for hardware. */
  readonly kind: string
  readonly mac: string
  readonly alias: string
  /** The interface that this one lies on, by name. */
  readonly lower: string | undefined
  readonly master: string | undefined
  /** A tunnel device's identifier, port and far end, where it has them. */
  readonly id: number | undefined
  readonly port: number | undefined
  readonly remote: string | undefined
  readonly sent: SentCounts
}

/** Since the device was made. */
export interface SentCounts {
  readonly packets: number
  readonly bytes: number
  readonly errors: number
  readonly dropped: number
}

/** A tunnel device of ours: its alias says so. */
export interface Tunnel {
  readonly link: Link
  readonly identity: TunnelIdentity
  /** Tells tunnels apart that go to the same place with other options. */
  readonly fingerprint: string
  /** The name of the program that cuts and samples copies; empty where there is none. */
  readonly copies: string
  /** Interfaces, by index, that had no clsact before a mirror into this tunnel. */
  readonly clsact: readonly number[]
}

/** A filter that copies one direction of an interface into a tunnel of ours. */
export interface MirrorFilter {
  readonly interface: string
  readonly direction: Direction
  readonly tunnel: string
  readonly kind: string
  readonly pref: number
  readonly protocol: string
  readonly handle: string
  /** Empty where the classifier is none of BPF. */
  readonly program: readonly FilterInstruction[]
  readonly mirrored: { readonly packets: number; readonly bytes: number; readonly dropped: number }
}

/** A filter of ours whose tunnel's device was taken away by others: it copies nothing. `tunnel` is the device that it had. */
export interface StrandedFilter extends MirrorFilter, Stranding {}

export interface ForeignFilter {
  readonly interface: string
  readonly direction: Direction
  readonly pref: number
  readonly kind: string
}

export function findLink(state: State, name: string): Link | undefined {
  return state.links.find((link) => link.name === name)
}
