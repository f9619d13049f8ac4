import { CommandError, type Place, runForJson } from './commands.ts'

/** The way from a namespace to the collector. */
export interface Route {
  readonly device: string
  /** The route's own MTU, where it has one. */
  readonly mtu: number | undefined
  /** The address is one of the host itself. */
  readonly isLocal: boolean
}

interface IpRoute {
  readonly type?: string
  readonly dev?: string
  readonly metrics?: readonly { readonly mtu?: number }[]
}

const BARRED = ['unreachable', 'blackhole', 'prohibit']

/** Asks the kernel; undefined where there is no way. */
export async function findRoute(place: Place, collector: string): Promise<Route | undefined> {
  try {
    const [route] = (await runForJson(place.argv(['ip', '-j', 'route', 'get', collector]))) as IpRoute[]
    if (route?.dev === undefined || BARRED.includes(route.type ?? '')) return undefined
    const mtu = route.metrics?.find((metric) => metric.mtu !== undefined)?.mtu
    return { device: route.dev, mtu, isLocal: route.type === 'local' }
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

/** Interfaces that have an address, and so may send what this host sends. */
export async function addressedInterfaces(place: Place): Promise<ReadonlySet<string>> {
  const argv = place.argv(['ip', '-j', 'address', 'show', 'scope', 'global'])
  const rows = (await runForJson(argv)) as { ifname?: string; addr_info?: unknown[] }[]
  const names = rows.filter(({ addr_info }) => (addr_info?.length ?? 0) > 0).flatMap(({ ifname }) => ifname ?? [])
  return new Set(names)
}
