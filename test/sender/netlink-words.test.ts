import { describe, expect } from 'vitest'
import { type MirrorWish, tunnelName } from '../../src/sender/mirror.ts'
import type { PlainClassifier } from '../../src/sender/plain-steps.ts'
import { planUp } from '../../src/sender/plan.ts'
import { tunnelSteps } from '../../src/sender/tunnel-steps.ts'
import { type Asked, type Attributes, askKernel, attributesOf, within } from '../support/netlink.ts'
import { requires } from '../support/requirements.ts'

/**
 * What `ip` and `tc` make of our words, also for devices and classifiers that this kernel does not have: their message to the
 * kernel, held against the numbers of linux/if_link.h, if_tunnel.h and pkt_cls.h. A word that they do not know is told by them.
 */
const it = requires('root', 'linux', 'ip', 'tc', 'strace')

const IFINFOMSG = 16
const TCMSG = 20
const LINKINFO = 18
const KIND = 1
const DATA = 2

const text = (hex: string) => Buffer.from(hex, 'hex').toString('latin1').replace(/\0.*/, '')

/** The kernel did it, or has not got the module; anything else would be about the words. */
function expectUnderstood({ status, stderr }: Asked): void {
  const isMissing = /Unknown device type|Operation not supported|TC classifier not found/.test(stderr)
  expect({ stderr, isRight: status === 0 || isMissing }).toMatchObject({ isRight: true })
}

const OPTIONS = { ttl: 9, dscp: 8, mtu: 1400 }
const V4 = '10.0.0.2'
const V6 = 'fd00::2'
const [V4_HEX, V6_HEX] = ['0a000002', `fd${'0'.repeat(29)}2`]
/** GRE_KEY, and GRE_SEQ with it, of linux/if_tunnel.h, in and out; then the key, in and out. */
const GRE = { 2: '2000', 3: '2000', 4: '00000005', 5: '00000005' }
const ERSPAN = { ...GRE, 2: '3000', 3: '3000' }
/** ERSPAN II with index 1. */
const ERSPAN_II = { 21: '01000000', 22: '01' }
/** TTL, TOS, no path MTU discovery, ignore "don't fragment". */
const ON_IPV4 = { 7: V4_HEX, 8: '09', 9: '20', 10: '00', 19: '01' }
/** Hop limit, traffic class, IP6_TNL_F_IGN_ENCAP_LIMIT. */
const ON_IPV6 = { 7: V6_HEX, 8: '09', 12: '02000000', 13: '01000000' }

describe('the words for a tunnel device say what is meant', () => {
  it.each<[MirrorWish['tunnel'], string, Attributes]>([
    [
      { encapsulation: 'vxlan', collector: V4, port: 4789, vni: 100, sourcePorts: { low: 40_000, high: 50_000 } },
      'vxlan',
      { 1: '64000000', 2: V4_HEX, 5: '09', 6: '20', 7: '00', 10: '9c40c350', 15: '12b5' },
    ],
    [
      { encapsulation: 'vxlan', collector: V6, port: 4789, vni: 100 },
      'vxlan',
      { 1: '64000000', 16: V6_HEX, 5: '09', 6: '20', 7: '00', 15: '12b5' },
    ],
    [
      { encapsulation: 'geneve', collector: V4, port: 6081, vni: 5 },
      'geneve',
      { 1: '05000000', 2: V4_HEX, 3: '09', 4: '20', 5: '17c1' },
    ],
    [
      { encapsulation: 'geneve', collector: V6, port: 6081, vni: 5 },
      'geneve',
      { 1: '05000000', 7: V6_HEX, 3: '09', 4: '20', 5: '17c1' },
    ],
    [{ encapsulation: 'gre', collector: V4, port: 0, vni: 5 }, 'gretap', { ...GRE, ...ON_IPV4 }],
    [{ encapsulation: 'gre', collector: V6, port: 0, vni: 5 }, 'ip6gretap', { ...GRE, ...ON_IPV6 }],
    [{ encapsulation: 'erspan', collector: V4, port: 0, vni: 5 }, 'erspan', { ...ERSPAN, ...ERSPAN_II, ...ON_IPV4 }],
    [{ encapsulation: 'erspan', collector: V6, port: 0, vni: 5 }, 'ip6erspan', { ...ERSPAN, ...ERSPAN_II, ...ON_IPV6 }],
  ])('%o', (wish, kind, data) => {
    const [make] = tunnelSteps({ ...wish, ...OPTIONS }, [], 'bpf')
    const asked = askKernel(make!.argv, '')!
    expect(asked).toBeDefined()
    expectUnderstood(asked)
    const attributes = attributesOf(asked.message, IFINFOMSG)
    const info = within(attributes[LINKINFO]!)
    expect({ kind: text(info[KIND]!), mtu: attributes[4] }).toEqual({ kind, mtu: '78050000' })
    expect(within(info[DATA]!)).toMatchObject(data)
  })
})

/** TCA_FLOWER_*: class 1, EtherType 8, protocol 9, IPv4 source 10 and destination 12, IPv6 14 and 16, masks behind each; ICMP type 51, ICMPv6 55. */
const CLASS = { 1: '01000000' }
const UDP = '11'
const GRE_PROTOCOL = '2f'
const flowerOf = (v6: boolean, protocol: string): Attributes[] => {
  const [type, address, mask] = v6 ? ['86dd', V6_HEX, 'f'.repeat(32)] : ['0800', V4_HEX, 'f'.repeat(8)]
  const [source, destination, icmpType] = v6 ? [14, 16, 55] : [10, 12, 51]
  const ours = [destination, source].map((end) => ({ 8: type, 9: protocol, [end]: address, [end + 1]: mask, ...CLASS }))
  const errors = (v6 ? [1, 2, 3, 4] : [3, 4, 5, 11, 12]).map((number) => ({
    ...{ 8: type, 9: v6 ? '3a' : '01', ...CLASS },
    ...{ [icmpType]: number.toString(16).padStart(2, '0'), [icmpType + 1]: 'ff' },
  }))
  return [...ours, ...errors]
}

describe('without bpf, the words for filters say what is meant', () => {
  const wishOf = (collector: string, encapsulation: 'vxlan' | 'gre'): MirrorWish => {
    const tunnel = { encapsulation, collector, port: 4789, vni: 100 }
    return { interface: 'lo', directions: ['egress'], tunnel, filter: undefined }
  }
  const nothing = { links: [], tunnels: [], leftovers: [], mirrors: [], stranded: [], foreign: [] }
  const filtersOf = (wish: MirrorWish, classifier: PlainClassifier): Attributes[] => {
    const steps = planUp(wish, { ...nothing, hooks: new Map([['lo', 'clsact']]) }, classifier)
    const setup = `ip link add ${tunnelName(wish.tunnel)} type veth peer name other; tc qdisc add dev lo clsact`
    const filters = steps.filter(({ argv }) => argv[1] === 'filter' && argv[4] === 'lo')
    return filters.map(({ argv }) => {
      const asked = askKernel(argv, setup)!
      expect({ argv, asked: asked !== undefined }).toEqual({ argv, asked: true })
      expectUnderstood(asked)
      const attributes = attributesOf(asked.message, TCMSG)
      expect(text(attributes[KIND]!)).toBe(classifier)
      return within(attributes[DATA] ?? '')
    })
  }
  /** An action by its number, with its kind. */
  const actionOf = (list: string | undefined) => text(within(within(list!)[1]!)[KIND]!)

  it.each([
    ['vxlan', V4, flowerOf(false, UDP)],
    ['vxlan', V6, flowerOf(true, UDP)],
    ['gre', V4, flowerOf(false, GRE_PROTOCOL)],
  ] as const)(
    'flower: %s to %s and ICMP errors are left out, the rest is mirrored',
    (encapsulation, collector, exclusions) => {
      const filters = filtersOf(wishOf(collector, encapsulation), 'flower')
      expect(filters.slice(0, -1)).toEqual(exclusions.map((each) => expect.objectContaining(each)))
      for (const filter of filters.slice(0, -1)) expect(filter[3]).toBeUndefined()
      expect(actionOf(filters.at(-1)![3])).toBe('mirred')
      expect(filters.at(-1)![1]).toBeUndefined()
    },
  )

  it('matchall mirrors all', () => {
    const filters = filtersOf(wishOf(V4, 'vxlan'), 'matchall')
    expect(filters).toHaveLength(1)
    expect(actionOf(filters[0]![2])).toBe('mirred')
  })
})
