import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { numberedDatagrams, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { scapySends } from './ring-traffic.ts'

let folder = ''
let hosts: NamespacePair | undefined
const collectors: Collector[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ring-trouble-'))
})
afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.dispose()
  hosts?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function ring(namespace: string | undefined, ...args: string[]): Promise<Collector> {
  const collector = await startCollector(['--engine', 'ring', ...args], { namespace })
  collectors.push(collector)
  return collector
}

const WITHOUT = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all']

describe('without CAP_NET_RAW', () => {
  const it = requires('build', 'root', 'setpriv')

  it('the ring ends with 77, the name of the capability and how it is given', () => {
    const { exitCode, lines } = runCommand(['--engine', 'ring', '--out', 'null'], WITHOUT)
    expect([exitCode, lines.length]).toEqual([77, 2])
    expect(lines[0]).toContain('CAP_NET_RAW')
    expect(lines[1]).toMatch(/AmbientCapabilities=CAP_NET_RAW.*--cap-add NET_RAW.*setcap cap_net_raw\+ep/)
  })

  it('the choice that is left to us falls on udp, and the log says why', () => {
    const args = ['--engine', 'auto', '--listen', 'vxlan://127.0.0.1:5999', '--duration', '100ms', '--out', 'null']
    const { exitCode, lines } = runCommand(args, WITHOUT)
    expect(exitCode).toBe(0)
    const log = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, string>)
    expect(log[0]).toMatchObject({ engine: 'udp', msg: expect.stringContaining('listening') })
    expect(log[1]).toMatchObject({ level: 'info', msg: expect.stringMatching(/udp.*CAP_NET_RAW/) })
  })
})

describe('what cannot be is told in two lines', () => {
  requires('build', 'root').each([
    ['an interface that is not there', 69, ['--interface', 'absent0'], /no interface absent0/],
    ['an address that no interface has', 69, ['--listen', '192.0.2.1:4789'], /No interface/],
    ['a zone that is no interface', 69, ['--interface', 'lo', '--listen', '[fe80::1%no0]:4789'], /no interface no0/],
    ['a port that the kernel is to choose', 64, ['--listen', 'vxlan://127.0.0.1:0'], /choose a port/],
  ] as const)('%s', (_what, code, args, text) => {
    const { exitCode, lines } = runCommand(['--engine', 'ring', ...args, '--out', 'null'])
    expect([exitCode, lines.length]).toEqual([code, 2])
    expect(lines[0]).toMatch(text)
  })

  requires('build')('an interface for an engine that has no use for it', () => {
    const { exitCode, lines } = runCommand(['--interface', 'lo', '--out', 'null'])
    expect([exitCode, lines.length]).toEqual([64, 2])
    expect(lines[0]).toContain('--interface')
  })
})

describe('the options there are do on a ring what they do on sockets', () => {
  const it = requires('build', 'root', 'tshark')
  const LISTEN = ['--listen', 'vxlan://127.0.0.1:5998']

  it.each([
    ['--count', ['--count', '7'], { delivered: 7 }],
    ['--vni', ['--vni', '!100'], { delivered: 0, dropped: { 'vni-not-allowed': 40 } }],
    ['--allow-from', ['--allow-from', '127.0.0.0/8'], { delivered: 40 }],
    ['--allow-from others', ['--allow-from', '10.0.0.0/8'], { delivered: 0, dropped: { 'source-not-allowed': 40 } }],
  ])('%s', async (_what, args, expected) => {
    const collector = await ring(undefined, ...LISTEN, ...args, '--out', 'null')
    await send(numberedDatagrams(40), 5998)
    if (expected.delivered !== 7) expect(await collector.stop()).toBe(0)
    else expect(await collector.exit()).toBe(0)
    expectBalance(collector.report())
    expect(collector.report()).toMatchObject(expected)
  })

  it('--snaplen, rotation, and several sinks at once', async () => {
    const out = [`pcap:${folder}/{vni}-a.pcap`, `pcapng:${folder}/b.pcapng?vni=200`, 'null']
    const collector = await ring(undefined, ...LISTEN, '--snaplen', '50', ...out.flatMap((sink) => ['--out', sink]))
    await send([...numberedDatagrams(30), ...numberedDatagrams(20, { vni: 200 })], 5998)
    expect(await collector.stop()).toBe(0)
    const report = collector.report()
    expectBalance(report)
    expect(report.sinks.map(({ written }) => written)).toEqual([50, 20, 50])
    expect(framesOf(join(folder, '100-a.pcap')).map(({ captured, wireLength }) => [captured, wireLength])).toEqual(
      Array.from({ length: 30 }, () => [50, 60]),
    )
    expect(framesOf(join(folder, 'b.pcapng'))).toHaveLength(20)
  })

  it('frames carry the time at which they arrived, and come in that order', async () => {
    const collector = await ring(undefined, ...LISTEN, '--out', `pcap:${folder}/a.pcap`)
    const before = Date.now()
    await send(numberedDatagrams(50), 5998)
    const after = Date.now() + 1
    expect(await collector.stop()).toBe(0)
    const stamps = framesOf(join(folder, 'a.pcap')).map((frame) => frame.seconds * 1000 + frame.nanoseconds / 1e6)
    expect(stamps).toHaveLength(50)
    expect(stamps).toEqual([...stamps].sort((a, b) => a - b))
    expect(stamps[0]).toBeGreaterThanOrEqual(before)
    expect(stamps[49]).toBeLessThanOrEqual(after)
  })
})

const it = requires('build', 'root', 'namespaces', 'ip', 'ethtool', 'scapy')

const SEND = 'sendp([link / v4 / vxlan(20) for n in range(5)], iface="veth1")'

it.each([
  ['that is named', ['--interface', 'veth2']],
  ['that holds an address', []],
])('an interface %s goes down and comes back: said, counted, and its packets taken again', async (_what, args) => {
  hosts = joinedNamespaces()
  const { left, right } = hosts
  const collector = await ring(right.name, '--out', 'null', ...args)
  scapySends(left, SEND)
  await until('five have come', async () => (await collector.statistics()).delivered === 5)
  right.exec(['ip', 'link', 'set', 'veth2', 'down'])
  await until('the log says so', () => collector.stderr.includes('Interface veth2 is gone or down'))
  // At once: the collector looks at interfaces once a second.
  const up = ['ip', 'netns', 'exec', right.name, 'ip', 'link', 'set', 'veth2', 'up']
  scapySends(left, `import subprocess; subprocess.run(${JSON.stringify(up)}, check=True); ${SEND}`)
  await until('five more have come', async () => (await collector.statistics()).delivered === 10)
  await until('the log says that it is back', () => collector.stderr.includes('Interface veth2 is there'))
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())
  expect(collector.report()).toMatchObject({ delivered: 10, interfaceLosses: 1 })
})

it('an interface that alone holds the address goes down and comes back: loopback is not said to have gone', async () => {
  hosts = joinedNamespaces()
  const { right } = hosts
  const collector = await ring(right.name, '--listen', `${right.ipv4}:4789`, '--out', 'null')
  right.exec(['ip', 'link', 'set', 'veth2', 'down'])
  await until('the log says so', () => collector.stderr.includes('Interface veth2 is gone or down'))
  right.exec(['ip', 'link', 'set', 'veth2', 'up'])
  await until('and that it is back', () => collector.stderr.includes('Interface veth2 is there'))
  expect(collector.stderr).not.toContain('Interface lo ')
  expect(await collector.stop()).toBe(0)
  expect(collector.report()).toMatchObject({ interfaceLosses: 1 })
})

it('an address whose zone is the interface that goes down', async () => {
  hosts = joinedNamespaces()
  const { right } = hosts
  right.exec(['ip', 'address', 'add', 'fe80::2/64', 'dev', 'veth2', 'nodad'])
  const collector = await ring(
    right.name,
    '--listen',
    '[fe80::2%veth2]:4789',
    '--listen',
    'vxlan://:4790',
    '--out',
    'null',
  )
  right.exec(['ip', 'link', 'set', 'veth2', 'down'])
  await until('the log says so', () => collector.stderr.includes('Interface veth2 is gone or down'))
  expect(await collector.stop()).toBe(0)
  expect(collector.report()).toMatchObject({ interfaceLosses: 1 })
  expect(collector.report()).not.toHaveProperty('workerRestarts')
})

it('an interface is removed and made anew, with another number', async () => {
  hosts = joinedNamespaces()
  const { left, right } = hosts
  const make = (): void => {
    left.exec(['ip', 'link', 'add', 'new1', 'type', 'veth', 'peer', 'name', 'new2', 'netns', right.name])
    left.exec(['ip', 'link', 'set', 'new1', 'up'])
    right.exec(['ip', 'link', 'set', 'new2', 'address', '02:00:00:00:00:02', 'up'])
  }
  make()
  const collector = await ring(right.name, '--out', 'null', '--interface', 'new2')
  scapySends(left, SEND.replace('veth1', 'new1'))
  await until('five have come', async () => (await collector.statistics()).delivered === 5)
  right.exec(['ip', 'link', 'del', 'new2'])
  await until('the log says so', () => collector.stderr.includes('Interface new2 is gone or down'))
  make()
  await until('and that it is back', () => collector.stderr.includes('Interface new2 is there'))
  scapySends(left, SEND.replace('veth1', 'new1'))
  await until('five more have come', async () => (await collector.statistics()).delivered === 10)
  expect(await collector.stop()).toBe(0)
  expect(collector.report()).toMatchObject({ delivered: 10, interfaceLosses: 1 })
})

requires('build', 'root')('what finds the ring full is counted, to the frame', async () => {
  const listen = ['--listen', 'vxlan://127.0.0.1:5997', '--buffer', '1MiB']
  const collector = await ring(undefined, ...listen, '--out', 'null')
  collector.kill('SIGSTOP')
  await until('it has stopped', () => collector.state() === 'T')
  await send(numberedDatagrams(3000, { bytes: 1000 }), 5997)
  collector.kill('SIGCONT')
  await send(numberedDatagrams(10), 5997)
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report.kernelDropped).toBeGreaterThan(1000)
  expect(report.received + report.kernelDropped).toBe(3010)
  expect((report as { kernelFreezes?: number }).kernelFreezes).toBeGreaterThan(0)
})
