import { afterAll, beforeAll, expect } from 'vitest'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'
import { BootedSystemd } from './booted-systemd.ts'
import { listings } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'systemd-analyze', 'build')

const COLLECTOR = 'mirror-collector.service'
const mirror = (...lines: string[]) => ['interface: lo', 'collector: 10.99.0.2', ...lines, ''].join('\n')

let hosts: NamespacePair | undefined
let systemd: BootedSystemd

beforeAll(async () => {
  hosts = joinedNamespaces()
  systemd = await BootedSystemd.boot(hosts.left, {
    'systemd/system/mirror-collector.service.d/watchdog.conf': '[Service]\nWatchdogSec=1s\nRestartSec=100ms\n',
    'mirror-collector/loop.yaml': mirror('vni: 7', 'filter: udp', 'snaplen: 96'),
    'mirror-collector/wrong.yaml': mirror('vni: many'),
  })
}, 60_000)
afterAll(() => {
  systemd?.dispose()
  hosts?.dispose()
})

/** Sends 100 frames in VXLAN, by the kernel, to the service's host. */
function sendFrames(): void {
  const { left, right } = hosts!
  const tunnel = ['type', 'vxlan', 'id', '100', 'remote', left.ipv4, 'dstport', '4789', 'dev', right.device]
  right.exec(['ip', 'link', 'add', 'tunnel', ...tunnel])
  right.exec(['ip', 'link', 'set', 'tunnel', 'addrgenmode', 'none', 'up'])
  right.exec(['ip', 'address', 'add', '10.55.0.1/24', 'dev', 'tunnel'])
  right.exec(['ip', 'neighbour', 'add', '10.55.0.2', 'lladdr', '02:00:00:00:00:99', 'dev', 'tunnel'])
  right.exec(['sh', '-c', 'ping -q -c 100 -i 0.002 -W 1 10.55.0.2 || true'])
}

it('systemd starts the collector shut in, reloads and stops it, and all that came is in its files', async () => {
  expect(systemd.run('systemctl', 'start', COLLECTOR)).toMatchObject({ status: 0 })
  expect(systemd.property(COLLECTOR, 'StatusText')).toBe('0.0.0.0:4789 (vxlan), [::]:4789 (vxlan)')
  const pid = systemd.property(COLLECTOR, 'MainPID')
  const status = systemd.run('cat', `/proc/${pid}/status`).stdout
  expect(status).toMatch(/^CapEff:\s+0+$/m)
  expect(status).toMatch(/^Seccomp:\s+2$/m)
  expect(status).not.toMatch(/^Uid:\s+0/m)
  const touch = (file: string) => systemd.run('nsenter', '--target', pid, '--mount', 'touch', file).stderr
  expect(touch('/usr/x')).toContain('Read-only file system')
  expect(touch('/var/x')).toContain('Read-only file system')

  const folder = systemd.path('var/lib/private/mirror-collector')
  const packets = () =>
    output('sh', '-c', `for f in ${folder}/*.pcap; do tcpdump -nr $f icmp 2>/dev/null; done | wc -l`)
  sendFrames()
  await until('all is written', () => Number(packets()) === 100)
  expect(systemd.run('systemctl', 'reload', COLLECTOR)).toMatchObject({ status: 0 })
  expect(systemd.property(COLLECTOR, 'ActiveState')).toBe('active')
  await until('a file was opened anew', () => output('ls', folder).trim().split('\n').length === 2)
  expect(systemd.run('systemctl', 'stop', COLLECTOR)).toMatchObject({ status: 0 })
  expect(systemd.property(COLLECTOR, 'Result')).toBe('success')
  expect(systemd.property(COLLECTOR, 'NRestarts')).toBe('0')
  expect(Number(packets())).toBe(100)
}, 60_000)

it("a collector that stands still is started again by systemd's watchdog", async () => {
  expect(systemd.run('systemctl', 'start', COLLECTOR)).toMatchObject({ status: 0 })
  const pid = systemd.property(COLLECTOR, 'MainPID')
  expect(systemd.run('kill', '-STOP', pid)).toMatchObject({ status: 0 })
  const isAnew = () => systemd.property(COLLECTOR, 'NRestarts') === '1'
  await until('it was started again', isAnew, 30_000)
  await until('it is ready', () => systemd.property(COLLECTOR, 'ActiveState') === 'active', 30_000)
  expect(systemd.property(COLLECTOR, 'MainPID')).not.toBe(pid)
  systemd.run('systemctl', 'stop', COLLECTOR)
}, 60_000)

it("systemd sets a mirror up and takes it down, in its own or in a process's network namespace", () => {
  const { left } = hosts!
  const before = listings(left)
  const up = systemd.run('systemctl', 'start', 'mirror-sender@loop')
  expect({ ...up, said: '' }).toMatchObject({ status: 0 })
  expect(systemd.run('mirror-sender', 'status').stdout).toContain('lo: vxlan to 10.99.0.2 port 4789, VNI 7;')
  systemd.run('systemctl', 'stop', 'mirror-sender@loop')
  expect(listings(left)).toBe(before)

  systemd.run('systemd-run', '--unit=other', '-p', 'PrivateNetwork=yes', 'sleep', '600')
  const pid = systemd.property('other', 'MainPID')
  const there = (...argv: string[]) => systemd.run('nsenter', '--target', pid, '--net', ...argv)
  there('ip', 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1')
  there('ip', 'address', 'add', '10.99.0.3/24', 'dev', 'eth0')
  for (const device of ['eth0', 'eth1']) there('ip', 'link', 'set', device, 'up')
  const listed = () => there('sh', '-c', 'ip -j link | grep -o \'"ifname":"[^"]*"\'; tc qdisc').stdout
  const links = listed()
  systemd.run(
    'sh',
    '-c',
    `printf '${mirror('vni: 8', `pid: ${pid}`).replaceAll('\n', '\\n')}' > /etc/mirror-collector/process.yaml`,
  )
  expect(systemd.run('systemctl', 'start', 'mirror-sender@process')).toMatchObject({ status: 0 })
  expect(there('mirror-sender', 'status').stdout).toContain('VNI 8')
  systemd.run('systemctl', 'stop', 'mirror-sender@process')
  expect(listed()).toBe(links)
}, 60_000)

it('a mirror whose file is wrong is not tried again and again', () => {
  expect(systemd.run('systemctl', 'start', 'mirror-sender@wrong').status).not.toBe(0)
  expect(systemd.property('mirror-sender@wrong', 'ActiveState')).toBe('failed')
  expect(systemd.property('mirror-sender@wrong', 'ExecMainStatus')).toBe('78')
})
