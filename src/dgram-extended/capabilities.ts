import { readFileSync } from 'node:fs'

/** linux/capability.h */
const BITS = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21 } as const

export type Capability = keyof typeof BITS

/** Whether this process has it now (its effective set); undefined where /proc does not tell. */
export function hasCapability(name: Capability): boolean | undefined {
  const [, mask] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status() ?? '') ?? []
  return mask === undefined ? undefined : ((BigInt(`0x${mask}`) >> BigInt(BITS[name])) & 1n) === 1n
}

function status(): string | undefined {
  try {
    return readFileSync('/proc/self/status', 'latin1')
  } catch {
    return undefined
  }
}
