import { existsSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { IFF_UP } from '../../dgram-extended/libc-devices.ts'
import { deviceFlags, deviceIndex, isDeviceName } from '../../dgram-extended/network-device.ts'
import { SyscallError } from '../../dgram-extended/syscall-error.ts'
import type { Listener } from '../source.ts'
import type { RingInterface } from './tunnel-filter.ts'

const ANY_ADDRESS: readonly string[] = ['0.0.0.0', '::']

/**
 * The interfaces that packets for these listeners come in on, of those that are up: the one that is named, or those that
 * hold an address that is listened on, and loopback, which packets from this host itself take.
 *
 * A port of a bridge or a bond does not count: what it receives arrives once more on the bridge or the bond.
 */
export function ringInterfaces(listeners: readonly Listener[], named: string | undefined): RingInterface[] {
  if (named !== undefined) return withIndex([named], new Map())
  const addresses = networkInterfaces()
  const all = listeners.some(({ host }) => host === undefined || ANY_ADDRESS.includes(plain(host)))
  const hosts = new Set(listeners.map(({ host }) => host && plain(host)))
  const holding = Object.entries(addresses).filter(
    ([, own = []]) => all || own.some(({ address }) => hosts.has(address)),
  )
  const names = holding.map(([name]) => name).filter((name) => !isPort(name))
  if (names.length === 0) return []
  return withIndex([...new Set([...names, ...loopback()])], vlanParents())
}

/** What is left while no other interface is up. */
export function loopbackInterfaces(): RingInterface[] {
  return withIndex(loopback(), new Map())
}

function loopback(): string[] {
  return Object.entries(networkInterfaces())
    .filter(([, own = []]) => own.some(({ internal }) => internal))
    .map(([name]) => name)
}

function withIndex(names: readonly string[], parents: ReadonlyMap<string, string>): RingInterface[] {
  const shared = new Set(names.map((name) => parents.get(name)))
  return names
    .map((name) => ({ name, index: indexIfUp(name), untaggedOnly: shared.has(name) }))
    .filter(({ index }) => index !== 0)
}

/** The interface's number; 0 when there is none of that name, or it is down. */
function indexIfUp(name: string): number {
  try {
    const index = isDeviceName(name) ? (deviceIndex(name) ?? 0) : 0
    return index !== 0 && (deviceFlags(name) & IFF_UP) !== 0 ? index : 0
  } catch (error) {
    // It may go between two questions.
    if (error instanceof SyscallError && error.code === 'ENODEV') return 0
    throw error
  }
}

/** Whether it is there still, and down. */
export function isDown({ name, index }: RingInterface): boolean {
  try {
    return deviceIndex(name) === index && (deviceFlags(name) & IFF_UP) === 0
  } catch (error) {
    if (error instanceof SyscallError && error.code === 'ENODEV') return false
    throw error
  }
}

/** Without the zone of a link-local address, in the form that Node.js gives addresses. */
function plain(host: string): string {
  const [address = ''] = host.split('%')
  return address.includes(':') ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address
}

function isPort(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/brport`) || existsSync(`/sys/class/net/${name}/bonding_slave`)
}

/** VLAN interface -> the one below it. Lines of /proc/net/vlan/config: "eth0.10 | 10 | eth0". */
function vlanParents(): Map<string, string> {
  try {
    const lines = readFileSync('/proc/net/vlan/config', 'latin1').split('\n').slice(2)
    return new Map(
      lines
        .map((line) => line.split('|').map((part) => part.trim()))
        .map(([name = '', , parent = '']) => [name, parent]),
    )
  } catch {
    return new Map()
  }
}
