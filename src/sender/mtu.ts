import { isIPv6 } from 'node:net'
import { CommandError, type Place, runCommand } from './commands.ts'
import { longestCopy } from './copy-program.ts'
import { type MirrorWish, overhead } from './mirror.ts'
import type { Route } from './route.ts'
import { findLink, type State } from './state.ts'

const LARGEST_PACKET = 65_535
const ICMP_HEADER = 8
const ETHERNET_HEADER = 14

/** The MTU that the way to the collector needs, so that no packet of the tunnel is cut. */
export function neededMtu({ interface: name, tunnel }: MirrorWish, state: State): number {
  const inner = findLink(state, name)?.mtu ?? 0
  const copied = Math.min(inner + ETHERNET_HEADER, longestCopy(tunnel.copies ?? {}))
  return Math.min(copied - ETHERNET_HEADER + overhead(tunnel), LARGEST_PACKET)
}

/** What will become of large frames, where the first interface on the way is too small for them. */
export function mtuWarning(wish: MirrorWish, state: State, route: Route): string | undefined {
  const needed = neededMtu(wish, state)
  const given = firstMtu(state, route)
  if (given >= needed) return undefined
  const fate = isIPv6(wish.tunnel.collector) ? 'are lost' : 'are sent in fragments'
  const most = given - overhead(wish.tunnel)
  return (
    `The MTU on the way to ${wish.tunnel.collector} (${route.device}) is ${given}, but frames of ${wish.interface} need ${needed}: ` +
    `copies of packets above ${most} bytes ${fate}. Set that MTU to ${needed}, or the MTU of ${wish.interface} to ${most}.`
  )
}

/**
 * Asks the path itself, by an echo request that nobody may fragment. Undefined where all is well, where the collector
 * answers no echo requests, or where `ping` is not there.
 */
export async function pathWarning(wish: MirrorWish, needed: number, place: Place): Promise<string | undefined> {
  if (!(await isAnswered(wish, 0, place)) || (await isAnswered(wish, needed, place))) return undefined
  const { collector } = wish.tunnel
  return `Packets of ${needed} bytes do not reach ${collector} whole: a link behind the first has a smaller MTU. Large frames will be cut into fragments there, or lost.`
}

function firstMtu(state: State, { device, mtu }: Route): number {
  return mtu ?? findLink(state, device)?.mtu ?? LARGEST_PACKET
}

async function isAnswered({ tunnel }: MirrorWish, packetBytes: number, place: Place): Promise<boolean> {
  const headers = (isIPv6(tunnel.collector) ? 40 : 20) + ICMP_HEADER
  const size = String(Math.max(packetBytes - headers, 0))
  try {
    await runCommand(place.argv(['ping', '-q', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', size, tunnel.collector]))
    return true
  } catch (error) {
    if (error instanceof CommandError) return false
    throw error
  }
}
