import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { applySteps, removeSteps } from '../../src/sender/apply.ts'
import { netnsPlace } from '../../src/sender/commands.ts'
import { inspect } from '../../src/sender/inspect.ts'
import type { MirrorWish } from '../../src/sender/mirror.ts'
import { planDown, planUp } from '../../src/sender/plan.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { listings, runSender, sender, sentPackets, tunnelDevice } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'setpriv', 'build')

let folder = ''
let hosts: NamespacePair
let up: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sender-safety-'))
  hosts = joinedNamespaces()
  up = ['up', '--interface', hosts.left.device, '--collector', hosts.right.ipv4, '--vni', '100']
})
afterEach(() => {
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** `ip` and `tc` that do something else at the command number AT that changes something. */
function trickTools(how: 'fail' | 'interrupt' | 'kill', at: number): string[] {
  const act = {
    fail: 'echo "Error: made to fail." >&2; exit 2',
    interrupt: '"$real" "$@"; code=$?; kill -INT $PPID; exit $code',
    kill: '"$real" "$@"; kill -KILL $PPID; exit 0',
  }[how]
  writeFileSync(join(folder, 'count'), '0')
  for (const tool of ['ip', 'tc']) {
    const real = execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim()
    const script = [
      '#!/bin/sh',
      `real=${real}`,
      'case "$*" in -j*|-s*|-force*) exec "$real" "$@";; esac',
      `n=$(($(cat ${folder}/count) + 1)); echo $n > ${folder}/count`,
      `if [ $n = ${at} ]; then ${act}; fi`,
      'exec "$real" "$@"',
    ]
    writeFileSync(join(folder, tool), `${script.join('\n')}\n`)
    chmodSync(join(folder, tool), 0o755)
  }
  return ['env', `PATH=${folder}:${process.env.PATH}`]
}

function commandsRun(): number {
  return Number(readFileSync(join(folder, 'count'), 'utf8'))
}

describe('a mirror is there whole or not at all', () => {
  it('undoes everything, whichever command fails', () => {
    const before = listings(hosts.left)
    let failed = 0
    for (let at = 1; ; at++) {
      const { exitCode, lines } = runSender(hosts.left, up, trickTools('fail', at))
      if (exitCode === 0) break
      failed++
      expect(exitCode).toBe(69)
      expect(lines.join('\n')).toContain('made to fail')
      expect(listings(hosts.left)).toBe(before)
    }
    expect(failed).toBeGreaterThan(7)
  }, 60_000)

  it('undoes everything, whenever it is interrupted', () => {
    const before = listings(hosts.left)
    for (const at of [1, 3, 6, 8]) {
      const { exitCode, lines } = runSender(hosts.left, up, trickTools('interrupt', at))
      expect({ exitCode, line: lines.at(-2) }).toEqual({
        exitCode: 130,
        line: 'mirror-sender: Interrupted. All has been undone.',
      })
      expect(listings(hosts.left)).toBe(before)
    }
  })

  it('finds its own after a crash at any command, to take it down or to complete it', () => {
    const before = listings(hosts.left)
    for (let at = 1; ; at++) {
      const crashed = runSender(hosts.left, up, trickTools('kill', at))
      if (crashed.exitCode === 0) break
      expect(commandsRun()).toBe(at)
      sender(hosts.left, 'down', '--all')
      expect(listings(hosts.left)).toBe(before)
      runSender(hosts.left, up, trickTools('kill', at))
      sender(hosts.left, ...up)
      sender(hosts.left, 'down', '--interface', hosts.left.device)
      expect(listings(hosts.left)).toBe(before)
    }
    sender(hosts.left, 'down', '--all')
    expect(listings(hosts.left)).toBe(before)
  }, 120_000)

  it('says what to do where a program has the port open', () => {
    const before = listings(hosts.left)
    const server = hosts.left.spawn([
      process.execPath,
      '-e',
      "require('dgram').createSocket('udp4').bind(4789, () => console.log('ready'))",
    ])
    return new Promise<void>((resolve, reject) => {
      server.stdout!.once('data', () => {
        try {
          const { exitCode, lines } = runSender(hosts.left, up)
          expect(exitCode).toBe(69)
          expect(lines.at(-1)).toContain('give another --port')
          expect(listings(hosts.left)).toBe(before)
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  })
})

it('refuses in two lines, before anything is touched', () => {
  const { left: source, right } = hosts
  source.exec(['ip', 'link', 'add', 'other', 'type', 'vxlan', 'id', '7', 'remote', '10.99.0.9', 'dstport', '4789'])
  source.exec(['ip', 'link', 'add', 'wires', 'type', 'vxlan', 'id', '8', 'remote', '10.99.0.2', 'dstport', '4788'])
  source.exec(['ip', 'address', 'add', '10.77.0.1/24', 'dev', 'wires'])
  source.exec(['ip', 'link', 'set', 'wires', 'up'])
  const before = listings(source)
  const change = (...options: string[]): string[] => [...up, ...options]
  const cases: [string[], number, RegExp][] = [
    [change('--interface', 'nope0'), 69, /There is no interface nope0/],
    [change('--collector', '192.0.2.1'), 69, /No route leads to the collector 192\.0\.2\.1/],
    [change('--collector', source.ipv4), 69, /address of this host/],
    [change('--vni', '7'), 69, /VNI 7 on port 4789 is in use by device other/],
    [change('--filter', 'tcp prot 80'), 64, /--filter: filter "tcp prot 80"/],
    [change('--filter', 'vlan 5'), 64, /VLAN tags/],
    [change('--collector', '10.77.0.2'), 69, /leads through wires.*would copy itself/],
    [change('--vni', '16777216'), 64, /16777216 is above 16777215/],
    [change('--encapsulation', 'gre', '--port', '5'), 64, /gre has no ports/],
    [change('--collector', 'collector.example'), 64, /is not an IP address/],
    [change('--netns', 'nowhere'), 69, /no network namespace nowhere/],
    [['down'], 64, /not said which/],
  ]
  for (const [args, code, what] of cases) {
    const { exitCode, lines } = runSender(source, args)
    expect({ args, exitCode, lines: lines.length }).toEqual({ args, exitCode: code, lines: 2 })
    expect(lines[0]).toMatch(what)
  }
  expect(listings(source)).toBe(before)
  const nobody = runSender(source, up, ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin'])
  expect(nobody.exitCode).toBe(77)
  expect(nobody.lines[0]).toContain('CAP_NET_ADMIN')
  expect(right.exec(['ip', 'link'])).toContain('veth2')
}, 60_000)

it('refuses a tunnel more than a filter can leave out, before anything is touched; VNIs of one collector are one for that', () => {
  const { left: source, right } = hosts
  const refused: number[] = []
  for (let i = 10; i < 24 && refused.length === 0; i++) {
    const before = listings(source)
    const { exitCode, lines } = runSender(source, [...up, '--collector', `10.99.0.${i}`, '--vni', String(i)])
    if (exitCode === 0) continue
    refused.push(i)
    expect({ exitCode, lines: lines.length, line: lines[0] }).toMatchObject({ exitCode: 69, lines: 2 })
    expect(lines[0]).toMatch(/too many tunnels/)
    expect(listings(source)).toBe(before)
  }
  expect(refused[0]).toBeGreaterThanOrEqual(20)
  sender(source, 'down', '--all')
  for (let vni = 1; vni <= 12; vni++) {
    sender(source, ...up, '--collector', right.ipv4, '--vni', String(vni), '--filter', 'icmp', '--direction', 'egress')
  }
  source.exec(['ping', '-q', '-c', '1', right.ipv4])
  const { mirrors } = JSON.parse(sender(source, 'status', '--json')) as { mirrors: { sent: { packets: number } }[] }
  expect(mirrors.map(({ sent }) => sent.packets)).toEqual(new Array(12).fill(1))
}, 60_000)

it('says that there is nothing to take down, which is no failure', () => {
  const { exitCode, stdout } = runSender(hosts.left, ['down', '--interface', hosts.left.device])
  expect({ exitCode, said: stdout.toString() }).toEqual({ exitCode: 0, said: 'No such mirror is on this host.\n' })
})

it('refuses another filter or other options for a mirror that is there', () => {
  sender(hosts.left, ...up)
  const before = listings(hosts.left)
  const mends: string[] = []
  for (const [options, what] of [
    [['--filter', 'udp'], /is there and has another filter/],
    [['--direction', 'ingress'], /is there and mirrors egress, too/],
    [['--ttl', '3'], /is there with another --source-port, --ttl/],
    [['--sample', '1/7'], /is there with another --snaplen, --headers or --sample/],
  ] as const) {
    const { exitCode, lines } = runSender(hosts.left, [...up, ...options])
    expect(exitCode).toBe(69)
    expect(lines[0]).toMatch(what)
    mends.push(lines[1]!)
  }
  const tunnel = ['up', '--interface', tunnelDevice(hosts.left), '--collector', hosts.right.ipv4, '--vni', '5']
  expect(runSender(hosts.left, tunnel).lines[0]).toMatch(/is a tunnel of mirror-sender/)
  expect(listings(hosts.left)).toBe(before)
  for (const mend of new Set(mends)) {
    // The command as it is printed.
    sender(hosts.left, ...mend.split('mirror-sender ')[1]!.split(' '))
    sender(hosts.left, ...up, '--ttl', '3')
    sender(hosts.left, 'down', '--all')
    sender(hosts.left, ...up)
  }
})

it('two that are started at once know of each other', async () => {
  const { left: source, right } = hosts
  const run = (vni: string) =>
    new Promise<number | null>((resolve) => {
      const options = ['--vni', vni, '--filter', 'icmp']
      const command = new URL('../../dist/bin/mirror-sender.js', import.meta.url).pathname
      source.spawn([process.execPath, command, ...up, ...options]).once('close', resolve)
    })
  expect(await Promise.all(['1', '2', '3'].map(run))).toEqual([0, 0, 0])
  source.exec(['ping', '-q', '-i', '0.01', '-c', '10', right.ipv4])
  const { mirrors } = JSON.parse(sender(source, 'status', '--json')) as { mirrors: { sent: { packets: number } }[] }
  expect(mirrors.map(({ sent }) => sent.packets)).toEqual([20, 20, 20])
})

it('lets in nothing that is sent to the tunnel from outside', () => {
  const { left: source, right } = hosts
  sender(source, ...up)
  const device = tunnelDevice(source)
  right.exec(['ip', 'link', 'add', 'forged', 'type', 'vxlan', 'id', '100', 'remote', source.ipv4, 'dstport', '4789'])
  right.exec(['ip', 'link', 'set', 'forged', 'up'])
  right.exec(['ip', 'address', 'add', '10.55.0.2/24', 'dev', 'forged'])
  source.exec(['ip', 'address', 'add', '10.55.0.1/24', 'dev', device])
  expect(() => right.exec(['ping', '-q', '-c', '3', '-i', '0.1', '-W', '1', '10.55.0.1'])).toThrow()
  const guard = source.exec(['tc', '-s', 'qdisc', 'show', 'dev', device, 'clsact'])
  expect(Number(/dropped (\d+)/.exec(guard)![1])).toBeGreaterThan(0)
})

it.each([
  ['netns', () => ['--netns', hosts.left.name]],
  ['pid', () => ['--pid', String(hosts.left.spawn(['sleep', '60']).pid)]],
] as const)('works in another network namespace, by --%s', (_, place) => {
  const before = listings(hosts.left)
  const where = place()
  const command = new URL('../../dist/bin/mirror-sender.js', import.meta.url).pathname
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, [command, ...args, ...where], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  run(...up)
  expect(sender(hosts.left, 'status')).toContain(hosts.left.device)
  run('down', '--vni', '100')
  expect(listings(hosts.left)).toBe(before)
})

it('asks the command "docker" for a container; here it is one that answers like it', () => {
  const before = listings(hosts.left)
  const pid = hosts.left.spawn(['sleep', '60']).pid
  const answer = [
    '#!/bin/sh',
    `[ "$*" = "inspect --type container --format {{.State.Pid}} web" ] && echo ${pid} && exit 0`,
    '[ "$6" = stopped ] && echo 0 && exit 0',
    'echo "Error response from daemon: No such container: $6" >&2; exit 1',
  ]
  writeFileSync(join(folder, 'docker'), `${answer.join('\n')}\n`)
  chmodSync(join(folder, 'docker'), 0o755)
  const path = ['env', `PATH=${folder}:/usr/sbin:/usr/bin:/sbin:/bin`]
  expect(runSender(hosts.right, [...up, '--container', 'web'], path).exitCode).toBe(0)
  expect(sender(hosts.left, 'status')).toContain('VNI 100')
  expect(runSender(hosts.right, ['down', '--all', '--container', 'web'], path).exitCode).toBe(0)
  expect(listings(hosts.left)).toBe(before)
  expect(runSender(hosts.right, [...up, '--container', 'stopped'], path).lines[0]).toMatch(/does not run/)
  expect(runSender(hosts.right, [...up, '--container', 'gone'], path).lines[0]).toMatch(/No such container: gone/)
})

it.each(['ipv4', 'ipv6'] as const)('with u32, the tunnel over %s is left out as well', async (underlay) => {
  const { left: source, right } = hosts
  const before = listings(source)
  const place = netnsPlace(source.name)
  const tunnel = { encapsulation: 'vxlan', collector: right[underlay], port: 4789, vni: 100 } as const
  const wish: MirrorWish = { interface: source.device, directions: ['ingress', 'egress'], tunnel, filter: undefined }
  await applySteps(planUp(wish, await inspect(place), 'u32'), place, new AbortController().signal)
  expect(planUp(wish, await inspect(place), 'u32')).toEqual([])
  const start = sentPackets(source, tunnelDevice(source))
  source.exec(['ping', '-q', '-i', '0.01', '-c', '20', '-s', '1472', right.ipv4])
  const copies = sentPackets(source, tunnelDevice(source)) - start
  // Nobody listens at the other end: each copy is answered by an error, which must not be copied.
  expect(copies).toBeGreaterThanOrEqual(underlay === 'ipv4' ? 40 : 0)
  expect(copies).toBeLessThan(45)
  const state = await inspect(place)
  expect(state.foreign).toEqual([])
  await removeSteps(planDown(state.mirrors, [], state), place)
  expect(listings(source)).toBe(before)
})
