import type { FilterInstruction } from '../dgram-extended/libpcap.ts'
import { type Encapsulation, filterHandle, type TunnelIdentity } from './mirror.ts'

/**
 * What a filter of ours says of its tunnel, for when the tunnel's device is deleted or moved by others, and its alias with it:
 * the kernel keeps such a filter, with an action that leads nowhere. All but the collector's address is in the cookie of the
 * action, which the kernel keeps for its owner (at most 16 bytes); the address is in the program.
 */
export interface Stranding {
  readonly identity: TunnelIdentity
  /** The interface had no clsact before our mirrors. */
  readonly clsactIsOurs: boolean
}

const MAGIC = '4d53'
const ENCAPSULATIONS: readonly Encapsulation[] = ['vxlan', 'geneve', 'gre', 'erspan']
const PATTERN = /^4d53(0[01])(0[0-3])([0-9a-f]{4})([0-9a-f]{8})$/

/** In hexadecimal: ours, clsact, encapsulation, port, identifier. */
export function actionCookie({ encapsulation, port, vni }: TunnelIdentity, clsactIsOurs: boolean): string {
  const digits = (value: number, count: number): string => value.toString(16).padStart(count, '0')
  const kind = digits(ENCAPSULATIONS.indexOf(encapsulation), 2)
  return `${MAGIC}${clsactIsOurs ? '01' : '00'}${kind}${digits(port, 4)}${digits(vni, 8)}`
}

/** Undefined where the filter is none of ours: its handle must be that of its tunnel. */
export function readStranding(
  cookie: string,
  handle: string,
  program: readonly FilterInstruction[],
): Stranding | undefined {
  const [, clsact, kind, port = '', vni = ''] = PATTERN.exec(cookie) ?? []
  const encapsulation = ENCAPSULATIONS[Number(kind)]
  if (encapsulation === undefined) return undefined
  const rest = {
    encapsulation,
    port: Number.parseInt(port, 16),
    vni: Number.parseInt(vni, 16),
  }
  const identities = collectorsIn(program).map((collector): TunnelIdentity => ({ ...rest, collector }))
  const identity = identities.find((each) => filterHandle(each) === Number(handle))
  return identity === undefined ? undefined : { identity, clsactIsOurs: clsact === '01' }
}

const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
/** Of a destination address in an Ethernet frame without tags. */
const DESTINATION_V4 = 30
const DESTINATION_V6 = 38

/** The addresses that a program's blocks leave out, and perhaps some that the user's filter looks for. */
function collectorsIn(program: readonly FilterInstruction[]): string[] {
  const comparedAt = (at: number, offset: number): number | undefined => {
    const [load, jump] = [program[at], program[at + 1]]
    return load?.code === LOAD_WORD && load.k === offset && jump?.code === JUMP_EQUAL ? jump.k : undefined
  }
  return program.flatMap((_, at) => {
    const word = comparedAt(at, DESTINATION_V4)
    if (word !== undefined) return [24, 16, 8, 0].map((bits) => (word >>> bits) & 0xff).join('.')
    const words = [0, 1, 2, 3].map((i) => comparedAt(at + 2 * i, DESTINATION_V6 + 4 * i))
    if (words.includes(undefined)) return []
    const groups = words.flatMap((each) => [each! >>> 16, each! & 0xffff]).map((group) => group.toString(16))
    return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
  })
}
