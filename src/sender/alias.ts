import type { Encapsulation, TunnelIdentity } from './mirror.ts'
import type { Link, Tunnel } from './state.ts'

/** The kernel keeps one byte less than IFALIASZ. */
export const LONGEST_ALIAS = 255

/**
 * The words by which a tunnel device is known as ours, given to it in the same step that makes it. They are the only record
 * there is: what `ip link` shows of a device differs from kind to kind.
 */
export function tunnelAlias({ identity, fingerprint, copies, clsact }: Omit<Tunnel, 'link'>): string {
  const { encapsulation, collector, port, vni } = identity
  const words = ['mirror-sender', encapsulation, collector, 'port', port, 'id', vni, 'options', fingerprint]
  const done = copies === '' ? [] : ['copies', copies]
  return [...words, ...done, ...(clsact.length === 0 ? [] : ['clsact', clsact.join(',')])].join(' ')
}

const PATTERN =
  /^mirror-sender (vxlan|geneve|gre|erspan) (\S+) port (\d+) id (\d+) options ([0-9a-f]+)(?: copies (\w+))?(?: clsact ([\d,]+))?$/

export function readTunnelAlias(alias: string): Omit<Tunnel, 'link'> | undefined {
  const [, encapsulation, collector, port, vni, fingerprint, copies = '', clsact] = PATTERN.exec(alias) ?? []
  if (encapsulation === undefined || collector === undefined || fingerprint === undefined) return undefined
  const identity: TunnelIdentity = {
    encapsulation: encapsulation as Encapsulation,
    collector,
    port: Number(port),
    vni: Number(vni),
  }
  return { identity, fingerprint, copies, clsact: clsact === undefined ? [] : clsact.split(',').map(Number) }
}

/** The kinds of tunnel devices, as the kernel names them. */
const KINDS: Readonly<Record<Encapsulation, readonly string[]>> = {
  vxlan: ['vxlan'],
  geneve: ['geneve'],
  gre: ['gretap', 'ip6gretap'],
  erspan: ['erspan', 'ip6erspan'],
}

/** Whether a device is what its alias says, as far as `ip` tells: anybody can give any device any alias. */
export function fitsAlias(link: Link, { encapsulation, collector, port, vni }: TunnelIdentity): boolean {
  const same = <Value>(shown: Value | undefined, said: Value): boolean => shown === undefined || shown === said
  return (
    KINDS[encapsulation].includes(link.kind) &&
    same(link.remote, collector) &&
    (port === 0 || (same(link.port, port) && same(link.id, vni)))
  )
}
