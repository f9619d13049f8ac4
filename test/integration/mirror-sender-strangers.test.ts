import { afterEach, beforeEach, expect } from 'vitest'
import { joinedNamespaces, type Namespace, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { listings, runSender, sender, sentPackets, tunnelDevice } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'build')

let hosts: NamespacePair
let up: string[] = []

beforeEach(() => {
  hosts = joinedNamespaces()
  up = ['up', '--interface', hosts.left.device, '--collector', hosts.right.ipv4, '--vni', '100']
})
afterEach(() => hosts.dispose())

/** Bytes, given as octal escapes of printf, that a string cannot hold go through a shell. */
function addPair(host: Namespace, name: string): void {
  host.exec(['sh', '-c', `ip link add "$(printf '${name}')" type veth peer name stranger`])
}

it('leaves devices of others alone that only have the alias of a tunnel', () => {
  const { left: source, right } = hosts
  const alias = (device: string, collector: string, vni: number): void => {
    const text = `mirror-sender vxlan ${collector} port 4789 id ${vni} options 1a0f564d clsact 2`
    source.exec(['ip', 'link', 'set', device, 'alias', text])
  }
  source.exec(['ip', 'link', 'add', 'eth7', 'type', 'veth', 'peer', 'name', 'eth8'])
  alias('eth7', right.ipv4, 5)
  source.exec(['ip', 'link', 'add', 'vx6', 'type', 'vxlan', 'id', '6', 'remote', right.ipv4, 'dstport', '4789'])
  alias('vx6', right.ipv4, 5)
  source.exec(['ip', 'link', 'add', 'vx7', 'type', 'vxlan', 'id', '7', 'remote', right.ipv4, 'dstport', '4789'])
  alias('vx7', '10.99.0.77', 7)
  source.exec(['ip', 'link', 'add', 'vx8', 'type', 'vxlan', 'id', '8', 'remote', right.ipv4, 'dstport', '4788'])
  alias('vx8', right.ipv4, 8)
  const before = listings(source)
  expect(sender(source, 'status')).toBe('No mirror is on this host.\n')
  sender(source, 'down', '--all')
  expect(listings(source)).toBe(before)
  sender(source, ...up)
  sender(source, 'down', '--all')
  expect(listings(source)).toBe(before)
})

it.each([
  ['control characters', 'a\\001\\033b'],
  ['no UTF-8', 'a\\377b'],
])('works beside an interface whose name has %s', (_, name) => {
  const { left: source, right } = hosts
  addPair(source, name)
  source.exec(['sh', '-c', `tc qdisc add dev "$(printf '${name}')" clsact`])
  const showAll = ['sh', '-c', 'ip link; tc qdisc; tc actions ls action mirred']
  const before = source.exec(showAll)
  sender(source, ...up)
  source.exec(['ping', '-q', '-c', '1', right.ipv4])
  expect(sentPackets(source, tunnelDevice(source))).toBeGreaterThanOrEqual(2)
  expect(sender(source, 'status')).toContain('VNI 100')
  sender(source, 'down', '--all')
  expect(source.exec(showAll)).toBe(before)
  const { exitCode, lines } = runSender(source, [...up, '--interface', 'nope0'])
  expect({ exitCode, lines: lines.length }).toEqual({ exitCode: 69, lines: 2 })
})

/** Tunnels whose device is gone: without it and its alias only the filters are left. */
const LOSSES: [string, (host: Namespace, device: string) => void][] = [
  ['deleted', (host, device) => host.exec(['ip', 'link', 'del', device])],
  ['moved to another namespace', (host, device) => host.exec(['ip', 'link', 'set', device, 'netns', hosts.right.name])],
]

it.each(LOSSES)(
  'finds, clears and mends a mirror whose tunnel device was %s by somebody',
  (_, lose) => {
    const { left: source, right } = hosts
    const before = listings(source)
    for (const words of [['--all'], ['--vni', '100'], ['--interface', source.device]]) {
      sender(source, ...up)
      lose(source, tunnelDevice(source))
      expect(sender(source, 'status')).toMatch(/^veth1: vxlan .* VNI 100; device mirror-\w+, which somebody took away/)
      expect(sender(source, 'down', '--vni', '101')).toContain('No such mirror')
      expect(sender(source, 'down', ...words)).toContain('VNI 100, is down')
      expect(listings(source)).toBe(before)
      if (right.exec(['ip', 'link']).includes('mirror-')) sender(right, 'down', '--all')
    }
    sender(source, ...up)
    lose(source, tunnelDevice(source))
    if (right.exec(['ip', 'link']).includes('mirror-')) {
      const { exitCode, lines } = runSender(source, up)
      expect(exitCode).toBe(69)
      expect(lines.at(-1)).toContain('of another network namespace')
      expect(listings(source)).toBe(before)
      sender(right, 'down', '--all')
    }
    expect(sender(source, ...up)).toContain('is mirrored (')
    source.exec(['ping', '-q', '-c', '3', '-i', '0.1', right.ipv4])
    expect(sentPackets(source, tunnelDevice(source))).toBe(6)
    expect(
      sender(source, 'status')
        .split('\n')
        .filter((line) => line.includes('VNI')),
    ).toHaveLength(1)
    sender(source, 'down', '--all')
    expect(listings(source)).toBe(before)
  },
  60_000,
)

it('leaves a clsact alone that was there before a mirror whose tunnel device was deleted', () => {
  const { left: source } = hosts
  source.exec(['tc', 'qdisc', 'add', 'dev', source.device, 'clsact'])
  const before = listings(source)
  sender(source, ...up)
  source.exec(['ip', 'link', 'del', tunnelDevice(source)])
  sender(source, ...up)
  source.exec(['ip', 'link', 'del', tunnelDevice(source)])
  sender(source, 'down', '--all')
  expect(listings(source)).toBe(before)
})

it('undoes everything where an action of somebody else keeps the filters from the tunnel', () => {
  const { left: source } = hosts
  sender(source, ...up)
  const [index = ''] = /index \d+/.exec(source.exec(['tc', 'actions', 'ls', 'action', 'mirred'])) ?? []
  sender(source, 'down', '--all')
  const action = ['action', 'mirred', 'egress', 'mirror', ...index.split(' '), 'dev', source.device]
  source.exec(['tc', 'actions', 'add', ...action])
  const { exitCode, lines } = runSender(source, up)
  expect(exitCode).toBe(69)
  expect(lines.at(-2)).toContain("do not lead into the tunnel's device")
  expect(source.exec(['ip', 'link', 'show', 'type', 'vxlan'])).toBe('')
  expect(source.exec(['tc', 'qdisc'])).not.toContain('clsact')
})
