import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, statSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { NOBODY, runCommand } from '../support/command.ts'
import { GOLDEN } from '../support/oracle.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import { requires, unmet } from '../support/requirements.ts'
import { numberedDatagrams, send } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const NEEDS = ['build', 'root', 'namespaces', 'ip', 'setpriv'] as const
const it = requires(...NEEDS)
const INPUT = `${GOLDEN}kernel-ipv4.pcap`

let namespace: OwnNamespace | undefined
let collector: Collector | undefined
beforeEach(() => {
  if (unmet(...NEEDS).length > 0) return
  namespace = new OwnNamespace()
  ip('link', 'set', 'lo', 'up')
})
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  namespace?.leave()
  namespace = undefined
})

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function addCable(): void {
  ip('link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'far')
  for (const end of ['eth1', 'far']) {
    ip('link', 'set', end, 'addrgenmode', 'none')
    ip('link', 'set', end, 'up')
  }
}

/** Packets that arrived at a device, by the kernel's count. */
function arrived(device: string): number {
  return JSON.parse(ip('-j', '-s', 'link', 'show', device))[0].stats64.rx.packets
}

it.each([
  ['tap:ids0', () => {}, () => ip('link', 'del', 'ids0'), () => {}, 'it was removed'],
  ['tap:ids0', () => {}, () => ip('link', 'set', 'ids0', 'down'), () => ip('link', 'set', 'ids0', 'up'), 'it is down'],
  ['interface:eth1', addCable, () => ip('link', 'del', 'eth1'), addCable, 'it was removed'],
  [
    'interface:eth1',
    addCable,
    () => ip('link', 'set', 'eth1', 'down'),
    () => ip('link', 'set', 'eth1', 'up'),
    'it is down or has no link',
  ],
  [
    'interface:eth1',
    addCable,
    () => ip('link', 'set', 'far', 'down'),
    () => ip('link', 'set', 'far', 'up'),
    'it is down or has no link',
  ],
])(
  '%s in trouble while it is used (%#): said once, counted, and taken up again',
  async (out, make, harm, mend, why) => {
    make()
    const running = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', out, '--out', 'null'])
    collector = running
    let sent = 0
    const sendSome = async () => {
      await send(numberedDatagrams(50, { first: sent }), running.ports[0]!)
      sent += 50
    }
    const sink = async () => (await running.statistics()).sinks[0]!
    await until('frames come out', async () => {
      await sendSome()
      return (await sink()).written > 0
    })
    harm()
    await until('frames are lost', async () => {
      await sendSome()
      return ((await sink()).dropped['sink-error'] ?? 0) > 60
    })
    mend()
    const { written } = await sink()
    await until('frames come out again', async () => {
      await sendSome()
      return (await sink()).written > written + 50
    })
    await until('it was said', () => running.stderr.includes('takes frames again'))
    expect(arrived(out === 'tap:ids0' ? 'ids0' : 'far')).toBeGreaterThan(50)
    expect(await running.stop()).toBe(0)
    const report = running.report()
    expectBalance(report)
    expect(report.sinks[1]).toMatchObject({ sink: 'null', written: sent, dropped: {} })
    expect(Object.keys(report.sinks[0]!.dropped)).toEqual(['sink-error'])
    const trouble = running.log.filter(({ msg }) => String(msg).includes('takes no frames'))
    // An interface that was just made may be there before its link is.
    const reasons = new Set(trouble.map(({ msg }) => String(msg)))
    expect([...reasons].some((reason) => reason.includes(why))).toBe(true)
    expect(trouble.length).toBeLessThanOrEqual(3)
    expect(trouble.every(({ level }) => level === 'error')).toBe(true)
  },
)

it.each([
  ['tap:ids0', () => {}, () => ip('link', 'del', 'ids0'), () => {}],
  ['interface:eth1', addCable, () => ip('link', 'set', 'eth1', 'down'), () => ip('link', 'set', 'eth1', 'up')],
])('%s is taken up again also where frames are farther apart than attempts', async (out, make, harm, mend) => {
  make()
  const running = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', out])
  collector = running
  const sendOne = () => send(numberedDatagrams(1), running.ports[0]!)
  const sink = async () => (await running.statistics()).sinks[0]!
  await until('frames come out', async () => {
    await sendOne()
    return (await sink()).written > 0
  })
  harm()
  await until('frames are lost', async () => {
    await sendOne()
    return ((await sink()).dropped['sink-error'] ?? 0) > 0
  })
  mend()
  const before = (await sink()).dropped['sink-error']!
  for (let i = 0; i < 10; i++) {
    await setTimeout(150)
    await sendOne()
  }
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  // What came within the first attempts, and a device that was just made may be there before its link is.
  expect(report.sinks[0]!.dropped['sink-error']! - before).toBeLessThan(5)
})

it('frames above the MTU of an interface have a reason of their own', () => {
  addCable()
  ip('link', 'set', 'eth1', 'mtu', '1000')
  const report = runCommand(['decap', INPUT, '--out', 'interface:eth1', '--report', '-', '-q'])
  expect(report.exitCode).toBe(0)
  const small = JSON.parse(report.stdout.toString()).sinks[0]
  ip('link', 'set', 'eth1', 'mtu', '100')
  const again = JSON.parse(
    runCommand(['decap', INPUT, '--out', 'interface:eth1', '--report', '-', '-q']).stdout.toString(),
  ).sinks[0]
  expect(small.dropped).toEqual({})
  expect(again.dropped['frame-size']).toBeGreaterThan(0)
  expect(again.written + again.dropped['frame-size']).toBe(small.written)
})

it('a TAP device in use: exit 73, and who has it', async () => {
  const holder = spawn(process.execPath, [
    '-e',
    `const k=require('koffi');const fd=fs.openSync('/dev/net/tun','r+');const b=Buffer.alloc(40);b.write('ids0');
     b.writeUInt16LE(0x1002,16);k.load(null).func('int ioctl(int,unsigned long,void*)')(fd,0x400454ca,b);console.log('ready');setInterval(()=>{},1e6)`,
  ])
  try {
    await once(holder.stdout, 'data')
    const { exitCode, lines } = runCommand(['decap', INPUT, '--out', 'tap:ids0'])
    expect(exitCode).toBe(73)
    expect(lines[0]).toContain(`ids0 is in use by node (process ${holder.pid})`)
    expect(lines).toHaveLength(2)
  } finally {
    holder.kill('SIGKILL')
    await once(holder, 'exit')
  }
})

it('a device that is no TAP: exit 73; an interface that is not there: exit 69', () => {
  const busy = runCommand(['decap', INPUT, '--out', 'tap:lo'])
  expect([busy.exitCode, busy.lines.length, busy.lines[0]]).toEqual([
    73,
    2,
    expect.stringContaining('lo is there already, and is no TAP device'),
  ])
  const absent = runCommand(['decap', INPUT, '--out', 'interface:eth9'])
  expect([absent.exitCode, absent.lines.length, absent.lines[0]]).toEqual([
    69,
    2,
    expect.stringContaining('no interface eth9'),
  ])
})

it.each([
  ['tap:ids0', 'CAP_NET_ADMIN'],
  ['interface:lo', 'CAP_NET_RAW'],
])('%s without its capability: exit 77, which one, and how it is given', (out, capability) => {
  const without = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all']
  const { exitCode, lines } = runCommand(['decap', INPUT, '--out', out], without)
  expect([exitCode, lines.length]).toEqual([77, 2])
  expect(lines[0]).toContain(capability)
  expect(lines[1]).toContain(`setcap ${capability.toLowerCase()}+ep`)
  expect(lines[1]).toContain(`AmbientCapabilities=${capability}`)
  expect(lines[1]).toContain(`--cap-add ${capability.slice(4)}`)
})

it('a TAP device that root made for its owner needs no capability', () => {
  ip('tuntap', 'add', 'dev', 'ids0', 'mode', 'tap', 'user', String(NOBODY))
  ip('link', 'set', 'ids0', 'up')
  // As udev leaves it on hosts; put back below.
  const { mode } = statSync('/dev/net/tun')
  chmodSync('/dev/net/tun', 0o666)
  const nobody = [
    'setpriv',
    '--reuid',
    String(NOBODY),
    '--clear-groups',
    '--bounding-set',
    '-all',
    '--inh-caps',
    '-all',
  ]
  try {
    const { exitCode } = runCommand(['decap', INPUT, '--out', 'tap:ids0'], nobody)
    expect([exitCode, arrived('ids0')]).toEqual([0, 5])
  } finally {
    chmodSync('/dev/net/tun', mode)
  }
})
