import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { FilterInstruction } from '../dgram-extended/libpcap.ts'
import { type CopyWish, copyProgramName } from './copy-program.ts'

export type Direction = 'ingress' | 'egress'
export type Encapsulation = 'vxlan' | 'geneve' | 'gre' | 'erspan'

/** What tells one tunnel from another. */
export interface TunnelIdentity {
  readonly encapsulation: Encapsulation
  /** An IPv4 or IPv6 address, in the kernel's spelling. */
  readonly collector: string
  /** UDP destination port; 0 where the encapsulation has none. */
  readonly port: number
  /** VNI, GRE key, or ERSPAN session. */
  readonly vni: number
}

/** How the tunnel's packets look; undefined leaves it to the kernel. */
export interface TunnelOptions {
  readonly sourcePorts?: { readonly low: number; readonly high: number } | undefined
  /** Time to live, or IPv6 hop limit: 1 to 255. */
  readonly ttl?: number | undefined
  /** Differentiated services code point: 0 to 63. */
  readonly dscp?: number | undefined
  /** MTU of the tunnel device, in bytes. */
  readonly mtu?: number | undefined
  /** What is done to each copy before it is sent; undefined sends it as it is. */
  readonly copies?: CopyWish | undefined
}

/** One interface's packets, copied into one tunnel. */
export interface MirrorWish {
  readonly interface: string
  readonly directions: readonly Direction[]
  readonly tunnel: TunnelIdentity & TunnelOptions
  /** Which packets, as libpcap compiles it for Ethernet; undefined takes all. */
  readonly filter: readonly FilterInstruction[] | undefined
}

export const DEFAULT_PORTS: Readonly<Record<Encapsulation, number>> = { vxlan: 4789, geneve: 6081, gre: 0, erspan: 0 }

const NAME_PREFIX = 'mirror-'
/** 0x02: locally administered, one host's. */
const MAC_PREFIX = '02:4d'

/** 15 characters, the most that an interface's name can have: the same tunnel always has the same name. */
export function tunnelName(tunnel: TunnelIdentity): string {
  return NAME_PREFIX + digest(tunnel).toString('hex', 0, 4)
}

/** An address that no frame of the mirrored hosts carries: what the device says itself is told by it. */
export function tunnelMac(tunnel: TunnelIdentity): string {
  return macOfName(tunnelName(tunnel))
}

/** A device whose making broke off before it got its alias: name and address belong together. */
export function isLeftover(name: string, mac: string, alias: string): boolean {
  return alias === '' && /^mirror-[0-9a-f]{8}$/.test(name) && mac === macOfName(name)
}

function macOfName(name: string): string {
  return [MAC_PREFIX, ...name.slice(NAME_PREFIX.length).matchAll(/../g)].join(':')
}

/** A filter's handle: 31 bits, never 0. */
export function filterHandle(tunnel: TunnelIdentity): number {
  return positive31(digest(tunnel), 9)
}

/**
 * A mirroring action's index, which is one name space for all interfaces. Given by us, it stays the same when the filter is
 * replaced, and with it the action's counters.
 */
export function actionIndex(tunnel: TunnelIdentity, device: string, direction: Direction): number {
  return positive31(sha256(`${identityText(tunnel)} ${device} ${direction}`), 0)
}

/** Changes with every option that is not part of the identity. */
export function optionsFingerprint({ sourcePorts, ttl, dscp, mtu, copies = {} }: TunnelOptions): string {
  const ports = sourcePorts === undefined ? '' : `${sourcePorts.low}-${sourcePorts.high}`
  return sha256([ports, ttl ?? '', dscp ?? '', mtu ?? '', copyProgramName(copies)].join(' ')).toString('hex', 0, 4)
}

export function isSameTunnel(a: TunnelIdentity, b: TunnelIdentity): boolean {
  return identityText(a) === identityText(b)
}

/** "vxlan to 10.0.0.2 port 4789, VNI 100". */
export function describeTunnel({ encapsulation, collector, port, vni }: TunnelIdentity): string {
  const noun = { vxlan: 'VNI', geneve: 'VNI', gre: 'key', erspan: 'session' }[encapsulation]
  return `${encapsulation} to ${collector}${port === 0 ? '' : ` port ${port}`}, ${noun} ${vni}`
}

/** Bytes that the tunnel adds to a mirrored frame's IP packet: Ethernet inside, the tunnel's header, UDP, IP outside. */
export function overhead({ encapsulation, collector }: TunnelIdentity): number {
  const tunnel = { vxlan: 8 + 8, geneve: 8 + 8, gre: 8, erspan: 8 + 8 }[encapsulation]
  return 14 + tunnel + (isIPv6(collector) ? 40 : 20)
}

function identityText({ encapsulation, collector, port, vni }: TunnelIdentity): string {
  return `${encapsulation} ${collector} ${port} ${vni}`
}

function digest(tunnel: TunnelIdentity): Buffer {
  return sha256(identityText(tunnel))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function positive31(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) & 0x7fffffff || 1
}
