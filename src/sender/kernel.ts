import { isIPv6 } from 'node:net'
import { CommandError, runCommand } from './commands.ts'
import type { Encapsulation, TunnelIdentity } from './mirror.ts'

/** What decides which packets are mirrored. */
export type Classifier = 'bpf' | 'u32'

/** What this kernel proved to have; undefined where nobody may try (no right to make a network namespace). */
export interface Kernel {
  /** The classifiers that can mirror, best first. */
  readonly classifiers: readonly Classifier[]
  readonly hasDevice: boolean
}

const ALL: readonly Classifier[] = ['bpf', 'u32']

/** In a namespace that ends with the command, and with it whatever was made in it. */
const THROW_AWAY = ['unshare', '--net', '--']

/** Tries the tunnel's device and every classifier, in network namespaces of their own. */
export async function probeKernel(tunnel: TunnelIdentity): Promise<Kernel | undefined> {
  const device = `link add probe type ${probeType(tunnel)}\n`
  const failedDevice = await failedLines(['ip', '-force', '-batch', '-'], device)
  if (failedDevice === undefined) return undefined
  const mirror = 'action mirred egress mirror dev lo continue'
  const filters = [
    'qdisc add dev lo clsact',
    `filter add dev lo egress pref 1 protocol all bpf bytecode "1,6 0 0 0" ${mirror}`,
    `filter add dev lo egress pref 2 protocol all u32 match u32 0 0 ${mirror}`,
  ]
  const failed = await failedLines(['tc', '-force', '-batch', '-'], `${filters.join('\n')}\n`)
  if (failed === undefined) return undefined
  const classifiers = failed.has(1) ? [] : ALL.filter((_, i) => !failed.has(2 + i))
  return { classifiers, hasDevice: failedDevice.size === 0 }
}

/** The name of the kernel's module for a tunnel. */
export function moduleName({ encapsulation, collector }: TunnelIdentity): string {
  const v6 = isIPv6(collector)
  const names: Record<Encapsulation, string> = {
    vxlan: 'vxlan',
    geneve: 'geneve',
    gre: v6 ? 'ip6_gre' : 'ip_gre',
    erspan: v6 ? 'ip6_gre' : 'ip_gre',
  }
  return names[encapsulation]
}

function probeType({ encapsulation, collector }: TunnelIdentity): string {
  const v6 = isIPv6(collector)
  const types: Record<Encapsulation, string> = {
    vxlan: 'vxlan id 1 dstport 4789',
    geneve: `geneve id 1 remote ${collector}`,
    gre: v6 ? `ip6gretap remote ${collector}` : `gretap remote ${collector}`,
    erspan: `${v6 ? 'ip6erspan' : 'erspan'} seq key 1 remote ${collector} erspan_ver 1 erspan 0`,
  }
  return types[encapsulation]
}

/** The numbers, from 1, of the lines that failed; undefined where no namespace could be made. */
async function failedLines(batch: readonly string[], lines: string): Promise<Set<number> | undefined> {
  try {
    await runCommand([...THROW_AWAY, ...batch], lines)
    return new Set()
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const failed = [...error.stderr.matchAll(/Command failed -:(\d+)/g)].map(([, line]) => Number(line))
    return failed.length === 0 ? undefined : new Set(failed)
  }
}
