import { isIPv6 } from 'node:net'
import { CommandError, runCommand } from './commands.ts'
import type { Encapsulation, TunnelIdentity } from './mirror.ts'
import type { PlainClassifier } from './plain-steps.ts'

/** What decides which packets are mirrored. */
export type Classifier = 'bpf' | PlainClassifier

/** What this kernel proved to have; undefined where nobody may try (no right to make a network namespace). */
export interface Kernel {
  /** The classifiers that can mirror, best first. */
  readonly classifiers: readonly Classifier[]
  /** Why the tunnel's device cannot be made, in the words of `ip`; undefined where it can. */
  readonly deviceTrouble: string | undefined
}

/** Each with the words by which it takes every packet. */
const EVERYTHING: readonly (readonly [Classifier, string])[] = [
  ['bpf', 'bpf bytecode "1,6 0 0 0"'],
  ['u32', 'u32 match u32 0 0'],
  ['flower', 'flower'],
  ['matchall', 'matchall'],
]

/** In a namespace that ends with the command, and with it whatever was made in it. */
const THROW_AWAY = ['unshare', '--net', '--']

/** Tries the tunnel's device and every classifier, in network namespaces of their own. */
export async function probeKernel(tunnel: TunnelIdentity): Promise<Kernel | undefined> {
  const device = await failedLines(['ip', '-force', '-batch', '-'], `link add probe type ${probeType(tunnel)}\n`)
  if (device === undefined) return undefined
  const mirror = 'action mirred egress mirror dev lo continue'
  const filters = EVERYTHING.map(
    ([, words], i) => `filter add dev lo egress pref ${i + 1} protocol all ${words} ${mirror}`,
  )
  const probe = ['qdisc add dev lo clsact', ...filters]
  const tried = await failedLines(['tc', '-force', '-batch', '-'], `${probe.join('\n')}\n`)
  if (tried === undefined) return undefined
  const has = (i: number): boolean => !tried.numbers.has(1) && !tried.numbers.has(2 + i)
  const classifiers = EVERYTHING.map(([classifier]) => classifier).filter((_, i) => has(i))
  return { classifiers, deviceTrouble: device.numbers.size === 0 ? undefined : device.said }
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
    erspan: `${v6 ? 'ip6erspan' : 'erspan'} seq key 1 remote ${collector} erspan_ver 1 erspan 1`,
  }
  return types[encapsulation]
}

/** The numbers, from 1, of the lines that failed, and what was said first; undefined where no namespace could be made. */
async function failedLines(
  batch: readonly string[],
  lines: string,
): Promise<{ numbers: ReadonlySet<number>; said: string } | undefined> {
  try {
    await runCommand([...THROW_AWAY, ...batch], lines)
    return { numbers: new Set(), said: '' }
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    const failed = [...error.stderr.matchAll(/Command failed -:(\d+)/g)].map(([, line]) => Number(line))
    return failed.length === 0 ? undefined : { numbers: new Set(failed), said: error.said }
  }
}
