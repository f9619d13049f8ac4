import { isIPv6 } from 'node:net'
import { addressWords } from './address.ts'
import { actionIndex, type Direction, type Encapsulation, type TunnelIdentity, tunnelName } from './mirror.ts'
import type { Step } from './step.ts'

/**
 * Mirrors where the kernel has no bpf classifier, by one that matches values in headers. Such a classifier cannot say "all
 * but": what is left out stands in filters of its own, with the preference in front, which end a packet's way through the
 * filters (a class and no action). So it is left out of the filters of others, too, and only for one tunnel; and tags in
 * front of IP hide it. `flower` does not look into ICMP errors: it leaves out all of them. `matchall` leaves out nothing, so
 * it is for interfaces that do not carry the tunnel (see refuse).
 */
export type PlainClassifier = 'u32' | 'flower' | 'matchall'

export function isPlain(kind: string): kind is PlainClassifier {
  return kind in EXCLUDED
}

const ICMP_ERRORS = [3, 4, 5, 11, 12]
const ICMP_V6_ERRORS = [1, 2, 3, 4]
const FRAGMENT_HEADER = 44

/** Two filters of a direction of an interface; `pref` is the mirror's, the other's is one less. */
export function addPlainMirror(
  classifier: PlainClassifier,
  device: string,
  direction: Direction,
  pref: number,
  tunnel: TunnelIdentity,
): Step[] {
  const protocol = isIPv6(tunnel.collector) ? 'ipv6' : 'ip'
  const before = ['dev', device, direction, 'pref', String(pref - 1), 'protocol', protocol]
  const here = ['dev', device, direction, 'pref', String(pref), 'protocol', 'all']
  const index = String(actionIndex(tunnel, device, direction))
  const action = ['action', 'mirred', 'egress', 'mirror', 'index', index, 'dev', tunnelName(tunnel), 'continue']
  const exclusions = EXCLUDED[classifier](tunnel).map(
    (match, i): Step => ({
      argv: ['tc', 'filter', 'add', ...before, classifier, ...match, 'classid', ':1'],
      undo: i === 0 ? ['tc', 'filter', 'del', ...before] : undefined,
    }),
  )
  const everything = classifier === 'u32' ? ['match', 'u32', '0', '0'] : []
  const mirror: Step = {
    argv: ['tc', 'filter', 'add', ...here, classifier, ...everything, ...action],
    undo: ['tc', 'filter', 'del', ...here],
  }
  return [...exclusions, mirror]
}

/** What takes such a mirror away: itself first, then what is left out of it. */
export function removePlainMirror(...mirror: Parameters<typeof addPlainMirror>): Step[] {
  const undo = addPlainMirror(...mirror).flatMap((step) => (step.undo === undefined ? [] : [step.undo]))
  return undo.toReversed().map((argv) => ({ argv, undo: undefined }))
}

const EXCLUDED: Readonly<Record<PlainClassifier, (tunnel: TunnelIdentity) => string[][]>> = {
  u32: ({ encapsulation, collector }) => {
    const protocol = protocolOf(encapsulation)
    return isIPv6(collector) ? ipv6Matches(collector, protocol) : ipv4Matches(collector, protocol)
  },
  flower: flowerMatches,
  matchall: () => [],
}

function protocolOf(encapsulation: Encapsulation): number {
  return encapsulation === 'vxlan' || encapsulation === 'geneve' ? 17 : 47
}

/** By address and protocol alone, which the kernel's dissector finds in fragments, too. */
function flowerMatches({ encapsulation, collector }: TunnelIdentity): string[][] {
  const v6 = isIPv6(collector)
  // tc takes a number here for hexadecimal.
  const protocol = ['ip_proto', hex(protocolOf(encapsulation))]
  const ours = ['dst_ip', 'src_ip'].map((end) => [end, `${collector}/${v6 ? 128 : 32}`, ...protocol])
  const icmp = v6 ? 'icmpv6' : 'icmp'
  const errors = (v6 ? ICMP_V6_ERRORS : ICMP_ERRORS).map((type) => ['ip_proto', icmp, 'type', String(type)])
  return [...ours, ...errors]
}

/** By address and protocol alone: fragments have no port. Offsets count from the IP header, here without options. */
function ipv4Matches(collector: string, protocol: number): string[][] {
  const quoted = 20 + 8
  const ours = ['dst', 'src'].map((end) => [
    ...['match', 'ip', end, `${collector}/32`],
    ...['match', 'ip', 'protocol', String(protocol), '0xff'],
  ])
  const [word = 0] = addressWords(collector)
  const errors = ICMP_ERRORS.map((type) => [
    ...['match', 'ip', 'protocol', '1', '0xff'],
    ...['match', 'u8', String(type), '0xff', 'at', '20'],
    ...['match', 'u8', String(protocol), '0xff', 'at', String(quoted + 9)],
    ...['match', 'u32', hex(word), '0xffffffff', 'at', String(quoted + 16)],
  ])
  return [...ours, ...errors]
}

function ipv6Matches(collector: string, protocol: number): string[][] {
  const ours = ['dst', 'src'].flatMap((end) =>
    [protocol, FRAGMENT_HEADER].map((header) => [
      ...['match', 'ip6', end, `${collector}/128`],
      ...['match', 'u8', String(header), '0xff', 'at', '6'],
    ]),
  )
  const quoted = 40 + 8
  const errors = ICMP_V6_ERRORS.map((type) => [
    ...['match', 'u8', '58', '0xff', 'at', '6'],
    ...['match', 'u8', String(type), '0xff', 'at', '40'],
    ...['match', 'u8', String(protocol), '0xff', 'at', String(quoted + 6)],
    ...addressWords(collector).flatMap((word, i) => [
      ...['match', 'u32', hex(word), '0xffffffff', 'at', String(quoted + 24 + 4 * i)],
    ]),
  ])
  return [...ours, ...errors]
}

function hex(word: number): string {
  return `0x${word.toString(16)}`
}
