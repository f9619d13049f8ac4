import { expect, test } from 'vitest'
import { readTunnelAlias, tunnelAlias } from '../../src/sender/alias.ts'
import { isLeftover, type MirrorWish, tunnelMac, tunnelName } from '../../src/sender/mirror.ts'
import { planDown, planUp } from '../../src/sender/plan.ts'
import type { ForeignFilter, Link, MirrorFilter, State, Tunnel } from '../../src/sender/state.ts'
import { tunnelSteps } from '../../src/sender/tunnel-steps.ts'

type TunnelWish = MirrorWish['tunnel']
const VXLAN: TunnelWish = { encapsulation: 'vxlan', collector: '10.0.0.2', port: 4789, vni: 100 }

function link(index: number, name: string, alias = ''): Link {
  const sent = { packets: 0, bytes: 0, errors: 0, dropped: 0 }
  const nothing = { lower: undefined, master: undefined, id: undefined, port: undefined, remote: undefined }
  return { index, name, isUp: true, mtu: 1500, type: 'ether', kind: '', mac: '', alias, sent, ...nothing }
}

function stateWith(parts: Partial<State>): State {
  const links = [link(1, 'lo'), link(2, 'eth0'), link(3, 'eth1'), ...(parts.links ?? [])]
  return { hooks: new Map(), tunnels: [], leftovers: [], mirrors: [], stranded: [], foreign: [], ...parts, links }
}

function tunnel(wish: TunnelWish, clsact: readonly number[] = []): Tunnel {
  return { link: link(9, tunnelName(wish)), identity: wish, fingerprint: 'f', clsact } as Tunnel
}

function mirror(device: string, wish: TunnelWish, direction: 'ingress' | 'egress' = 'ingress'): MirrorFilter {
  const mirrored = { packets: 0, bytes: 0, dropped: 0 }
  const place = { interface: device, direction, tunnel: tunnelName(wish), kind: 'bpf', pref: 77, protocol: 'all' }
  return { ...place, handle: '0x7', program: [{ code: 6, jt: 0, jf: 0, k: 0xffffffff }], mirrored }
}

function wish(parts: Partial<MirrorWish> = {}): MirrorWish {
  return { interface: 'eth0', directions: ['ingress', 'egress'], tunnel: VXLAN, filter: undefined, ...parts }
}

/** Without the programs, which are tried on packets elsewhere. */
function commands(steps: readonly { readonly argv: readonly string[] }[]): string[] {
  return steps.map(({ argv }) => argv.map((word) => (/^\d+,\d/.test(word) ? 'PROGRAM' : word)).join(' '))
}

// The words are those of ip-link(8); the kernel that the tests run on has only vxlan devices.
test.each<[TunnelWish, string]>([
  [VXLAN, 'vxlan id 100 remote 10.0.0.2 dstport 4789 nolearning'],
  [
    { ...VXLAN, sourcePorts: { low: 40_000, high: 50_000 }, ttl: 9, dscp: 8 },
    'vxlan id 100 remote 10.0.0.2 dstport 4789 srcport 40000 50000 ttl 9 tos 0x20 nolearning',
  ],
  [{ ...VXLAN, collector: 'fd00::2', ttl: 9 }, 'vxlan id 100 remote fd00::2 dstport 4789 ttl 9 nolearning'],
  [
    { encapsulation: 'geneve', collector: '10.0.0.2', port: 6081, vni: 5, dscp: 46 },
    'geneve id 5 remote 10.0.0.2 dstport 6081 tos 0xb8',
  ],
  [
    { encapsulation: 'gre', collector: '10.0.0.2', port: 0, vni: 5, ttl: 3 },
    'gretap remote 10.0.0.2 key 5 ttl 3 nopmtudisc ignore-df',
  ],
  [
    { encapsulation: 'gre', collector: 'fd00::2', port: 0, vni: 5, ttl: 3, dscp: 1 },
    'ip6gretap remote fd00::2 key 5 hoplimit 3 tclass 0x04 encaplimit none',
  ],
  [
    { encapsulation: 'erspan', collector: '10.0.0.2', port: 0, vni: 5 },
    'erspan seq key 5 remote 10.0.0.2 erspan_ver 1 erspan 1 nopmtudisc ignore-df',
  ],
  [
    { encapsulation: 'erspan', collector: 'fd00::2', port: 0, vni: 5 },
    'ip6erspan seq key 5 remote fd00::2 erspan_ver 1 erspan 1 encaplimit none',
  ],
])('a tunnel %o is the device "%s"', (tunnelWish, type) => {
  const [make, ...others] = tunnelSteps(tunnelWish, [], 'bpf')
  expect(make!.argv.join(' ').split(' type ')[1]).toBe(type)
  expect(make!.undo).toEqual(['ip', 'link', 'del', tunnelName(tunnelWish)])
  expect(commands(others).at(-1)).toBe(`ip link set ${tunnelName(tunnelWish)} up`)
})

test('a new mirror: the tunnel silent before it is up, the filters last', () => {
  const name = tunnelName(VXLAN)
  const verbs = commands(planUp(wish(), stateWith({}), 'bpf')).map((text) => text.split(' ').slice(0, 6).join(' '))
  expect(verbs).toEqual([
    `ip link add ${name} address ${tunnelMac(VXLAN)}`,
    `ip link set ${name} alias ${'mirror-sender'}`,
    `ip link set ${name} addrgenmode none`,
    `tc qdisc add dev ${name} clsact`,
    `tc filter add dev ${name} egress`,
    `tc filter add dev ${name} ingress`,
    `ip link set ${name} up`,
    'tc qdisc add dev eth0 clsact',
    'tc filter add dev eth0 ingress',
    'tc filter add dev eth0 egress',
  ])
})

test('with clsact there, only filters and tunnel are made, and clsact stays', () => {
  const state = stateWith({ hooks: new Map([['eth0', 'clsact']]) })
  expect(commands(planUp(wish(), state, 'bpf')).some((text) => text.includes('qdisc add dev eth0'))).toBe(false)
  const there = { ...state, tunnels: [tunnel(VXLAN)], mirrors: [mirror('eth0', VXLAN)] }
  expect(commands(planDown(there.mirrors, [], there))).toEqual([
    'tc filter del dev eth0 ingress pref 77 protocol all handle 0x7 bpf',
    `ip link del ${tunnelName(VXLAN)}`,
  ])
})

test('clsact that was ours goes with the last mirror, unless others have filters in it', () => {
  const hooks = new Map([['eth0', 'clsact' as const]])
  const state = stateWith({ hooks, tunnels: [tunnel(VXLAN, [2])], mirrors: [mirror('eth0', VXLAN)] })
  const removal = 'tc qdisc del dev eth0 clsact'
  expect(commands(planDown(state.mirrors, [], state))).toContain(removal)
  const foreign: ForeignFilter[] = [{ interface: 'eth0', direction: 'egress', pref: 5, kind: 'u32' }]
  expect(commands(planDown(state.mirrors, [], { ...state, foreign }))).not.toContain(removal)
})

test('a second tunnel is left out of the first mirror before it can carry anything', () => {
  const hooks = new Map([['eth0', 'clsact' as const]])
  const state = stateWith({ hooks, tunnels: [tunnel(VXLAN, [2])], mirrors: [mirror('eth0', VXLAN)] })
  const second = wish({ interface: 'eth1', tunnel: { ...VXLAN, vni: 200 } })
  const steps = commands(planUp(second, state, 'bpf'))
  const replaced = steps.findIndex((text) => text.startsWith('tc filter replace dev eth0 ingress'))
  const first = steps.findIndex((text) => text.startsWith('tc filter add dev eth1'))
  expect(replaced).toBeGreaterThan(0)
  expect(replaced).toBeLessThan(first)
})

test.each<[number[], number]>([
  [[], 77],
  [[49_152], 77],
  [[10], 9],
  [[77], 76],
  [[1], 77],
  [[1, 77, 78], 79],
])('beside filters with preferences %o ours has %i', (prefs, expected) => {
  const foreign = prefs.map((pref): ForeignFilter => ({ interface: 'eth0', direction: 'ingress', pref, kind: 'bpf' }))
  const state = stateWith({ foreign, hooks: new Map([['eth0', 'clsact']]) })
  const steps = commands(planUp(wish({ directions: ['ingress'] }), state, 'bpf'))
  expect(steps.at(-1)).toContain(`tc filter add dev eth0 ingress pref ${expected} protocol all`)
})

test.each(['u32', 'flower', 'matchall'] as const)('a mirror by %s goes as it came', (kind) => {
  const hooks = new Map([['eth0', 'clsact' as const]])
  const before = stateWith({ hooks, tunnels: [tunnel(VXLAN)] })
  const ups = planUp(wish(), before, kind)
  const prefOf = (direction: string) => {
    const last = commands(ups)
      .filter((text) => text.includes(`dev eth0 ${direction}`))
      .at(-1)!
    return Number(/pref (\d+)/.exec(last)![1])
  }
  const there = (['ingress', 'egress'] as const).map((direction) => ({
    ...mirror('eth0', VXLAN, direction),
    ...{ kind, pref: prefOf(direction), program: [] },
  }))
  const downs = commands(planDown(there, [], { ...before, mirrors: there })).filter((text) => text.startsWith('tc'))
  const undone = ups.toReversed().flatMap(({ undo }) => (undo === undefined ? [] : [undo.join(' ')]))
  expect(downs.sort()).toEqual(undone.sort())
  expect(downs).toHaveLength(kind === 'matchall' ? 2 : 4)
})

test('a device that broke off in the making is known by name and address, and goes first', () => {
  expect(isLeftover(tunnelName(VXLAN), tunnelMac(VXLAN), '')).toBe(true)
  expect(isLeftover(tunnelName(VXLAN), '02:00:00:00:00:01', '')).toBe(false)
  const state = stateWith({ leftovers: [link(9, tunnelName(VXLAN))] })
  expect(commands(planUp(wish(), state, 'bpf'))[0]).toBe(`ip link del ${tunnelName(VXLAN)}`)
})

test('the alias says all that is known of a tunnel, and foreign aliases nothing', () => {
  const record = {
    identity: { ...VXLAN, collector: 'fd00::2' },
    fingerprint: '1a2b3c4d',
    copies: 'c96',
    clsact: [2, 17],
  }
  expect(readTunnelAlias(tunnelAlias(record))).toEqual(record)
  expect(readTunnelAlias('mirror-sender of somebody else')).toBeUndefined()
})
