import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { mebibytes } from '../../config/terms/finding.ts'
import { hasCapability } from '../../dgram-extended/capabilities.ts'
import { systemCallsUnavailable } from '../../dgram-extended/libc.ts'
import { compileFilter } from '../../dgram-extended/libpcap.ts'
import { deviceMtu } from '../../dgram-extended/network-device.ts'
import { packetSocketsUnavailable } from '../../dgram-extended/packet-ring.ts'
import { LINKTYPE_ETHERNET } from '../../wire/link-type.ts'
import type { Item } from './item.ts'

const CAPABILITIES = ['CAP_NET_ADMIN', 'CAP_NET_RAW'] as const
/** The kernel's own default (ip-sysctl): less has been lowered. */
const USUAL_FRAGMENT_BYTES = 4 << 20
/** Outer headers of VXLAN over IPv6, the largest usual ones. */
const TUNNEL_BYTES = 70
const USUAL_MTU = 1500
/** Reading other clocks takes a system call for every packet's time stamp. */
const FAST_CLOCKS = ['tsc', 'kvm-clock', 'arch_sys_counter', 'hyperv_clocksource_tsc_page']

/** What of the machine matters, whatever the options. */
export function machineItems(): Item[] {
  return [
    systemCalls(),
    capabilities(),
    packetRing(),
    libpcap(),
    ...kernelDevices(),
    fragments('ipv4', '/proc/sys/net/ipv4/ipfrag'),
    fragments('ipv6', '/proc/sys/net/ipv6/ip6frag'),
    ...mtus(),
    ...clock(),
  ].filter((finding) => finding !== undefined)
}

/** A file of one value, as those below /proc/sys; undefined where there is none. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim()
  } catch {
    return undefined
  }
}

function systemCalls(): Item {
  const about = 'system calls'
  const reason = systemCallsUnavailable()
  if (reason === undefined)
    return { level: 'ok', about, what: `koffi loads; Node.js ${process.version}, kernel ${release()}` }
  return { level: 'warn', about, what: reason, mend: 'Until then --engine dgram collects, more slowly.' }
}

function capabilities(): Item {
  const given = CAPABILITIES.filter((name) => hasCapability(name) === true)
  const what = given.length === 0 ? 'neither CAP_NET_ADMIN nor CAP_NET_RAW' : given.join(', ')
  const forWhat =
    'CAP_NET_RAW is for gre:// and --engine ring, CAP_NET_ADMIN for tap:, and for --buffer above net.core.rmem_max (not of --engine dgram)'
  return {
    level: given.length === CAPABILITIES.length ? 'ok' : 'note',
    about: 'capabilities',
    what: `${what}; ${forWhat}`,
  }
}

function packetRing(): Item {
  const reason = packetSocketsUnavailable()
  if (reason === undefined) return { level: 'ok', about: 'packet ring', what: '--engine ring can run' }
  return { level: 'note', about: 'packet ring', what: reason }
}

function libpcap(): Item {
  try {
    compileFilter('ip', LINKTYPE_ETHERNET, 1)
    return { level: 'ok', about: 'libpcap', what: 'filters can be compiled' }
  } catch (error) {
    const [what = '', mend = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    return { level: 'note', about: 'libpcap', what, mend }
  }
}

/** For sinks and for the other half: only loaded modules and built-in drivers show without being asked to load. */
function kernelDevices(): Item[] {
  const tun = textOf('/proc/misc')?.includes(' tun') === true || textOf('/sys/module/tun/refcnt') !== undefined
  const vxlan =
    /\bvxlan/.test(`${textOf('/proc/modules')}`) || textOf('/sys/module/vxlan/parameters/udp_port') !== undefined
  const says = (has: boolean, name: string, use: string) =>
    `${name}: ${has ? 'there' : 'not loaded; the kernel may load it when it is asked for'}, for ${use}`
  return [
    { level: tun ? 'ok' : 'note', about: 'tun', what: says(tun, 'TAP devices', 'tap: sinks') },
    { level: vxlan ? 'ok' : 'note', about: 'vxlan', what: says(vxlan, 'vxlan devices', 'mirror-sender and the demo') },
  ]
}

/** The kernel puts the pieces of large outer packets together, in so much memory, for so long. */
function fragments(family: string, prefix: string): Item | undefined {
  const bytes = Number(textOf(`${prefix}_high_thresh`) ?? Number.NaN)
  const seconds = textOf(`${prefix}_time`)
  if (Number.isNaN(bytes) || seconds === undefined) return undefined
  const about = `${family} fragments`
  const what = `the kernel keeps up to ${mebibytes(bytes)} of them, each for ${seconds} s`
  if (bytes >= USUAL_FRAGMENT_BYTES) return { level: 'ok', about, what }
  const key = `${prefix.replace('/proc/sys/', '').replaceAll('/', '.')}_high_thresh`
  return {
    level: 'warn',
    about,
    what,
    mend: `Large mirrored packets need more: sysctl -w ${key}=${USUAL_FRAGMENT_BYTES}`,
  }
}

function mtus(): Item[] {
  const named = interfaces()
    .filter((name) => name !== 'lo')
    .map((name) => ({ name, mtu: mtuOf(name) }))
    .filter(({ mtu }) => mtu > 0)
  if (named.length === 0) return []
  const what = named.map(({ name, mtu }) => `${name} ${mtu}`).join(', ')
  const wanted = USUAL_MTU + TUNNEL_BYTES
  if (named.every(({ mtu }) => mtu >= wanted)) return [{ level: 'ok', about: 'mtu', what }]
  const mend = `Copies of ${USUAL_MTU}-byte packets fit whole from ${wanted} on; below they come in fragments, or not at all.`
  return [{ level: 'note', about: 'mtu', what, mend }]
}

function clock(): Item[] {
  const source = textOf('/sys/devices/system/clocksource/clocksource0/current_clocksource')
  if (source === undefined) return []
  const what = `${new Date().toISOString()}, from ${source}`
  if (FAST_CLOCKS.includes(source)) return [{ level: 'ok', about: 'clock', what }]
  return [
    {
      level: 'note',
      about: 'clock',
      what,
      mend: `Reading ${source} may be slow: every packet's time is read from it.`,
    },
  ]
}

/** Of this network namespace: /sys may be mounted for another. */
function interfaces(): string[] {
  return [...(textOf('/proc/net/dev') ?? '').matchAll(/^ *([^\s:|]+):/gm)].map(([, name]) => name!)
}

/** 0 where it cannot be told. */
function mtuOf(name: string): number {
  try {
    return deviceMtu(name)
  } catch {
    return 0
  }
}
