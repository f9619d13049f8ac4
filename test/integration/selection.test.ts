import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { Collector, expectBalance, startCollector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { GOLDEN } from '../support/oracle.ts'
import { requires } from '../support/requirements.ts'
import { firstGap, numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

let folder = ''
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'selection-'))
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const it = requires('build', 'tshark', 'tcpdump', 'libpcap')

it.each([
  ['kernel-ipv4', 'icmp[icmptype] = icmp-echo and ip dst 192.168.77.2'],
  ['kernel-ipv6', 'icmp6 and ip6[7] > 1'],
  ['kernel-vlan', 'vlan 7 or (vlan and ip)'],
  ['kernel-vlan', 'not vlan'],
  ['kernel-fragments-ipv4', 'udp port 9 or greater 1514'],
])('decap %s --filter "%s" writes what tcpdump takes of the inner frames', async (name, expression) => {
  const [ours, theirs] = [join(folder, 'ours.pcap'), join(folder, 'theirs.pcap')]
  const running = new Collector(['decap', `${GOLDEN}${name}.pcap`, '--out', `pcap:${ours}`, '--filter', expression])
  collector = running
  expect(await running.exit()).toBe(0)
  const argv = ['-r', `${GOLDEN}${name}.inner.pcap`, '-w', theirs, expression]
  execFileSync('tcpdump', argv, { stdio: 'ignore' })
  const expected = framesOf(theirs).map(({ bytes }) => bytes)
  expect(framesOf(ours).map(({ bytes }) => bytes)).toEqual(expected)
  const report = running.report()
  expectBalance(report)
  const { filtered = 0 } = report.dropped
  expect(filtered).toBe(report.received - (report.dropped['fragment-reassembled'] ?? 0) - expected.length)
})

it('live, each sink gets the frames that its own filter takes, of those that --filter lets through', async () => {
  const COUNT = 1000
  const files = ['all', 'low', 'odd'].map((name) => join(folder, `${name}.pcap`))
  const running = await startCollector([
    ...['--listen', 'vxlan://127.0.0.1:0', '--filter', 'ether[14:4] >= 100'],
    ...['--out', `pcap:${files[0]}`],
    ...['--out', `pcap:${files[1]}?filter=ether[14:4] < 300`],
    ...['--out', `pcap:${files[2]}?vni=100&filter=ether[14:4] & 1 = 1`],
  ])
  collector = running
  await send(numberedDatagrams(COUNT), running.ports[0]!)
  await until('all have arrived', async () => (await running.statistics()).received === COUNT)
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ delivered: 900, dropped: { filtered: 100 } })
  expect(report.sinks.map(({ dropped }) => dropped)).toEqual([{}, { 'not-selected': 700 }, { 'not-selected': 450 }])
  const [all, low, odd] = files.map((file) => framesOf(file).map(({ bytes }) => numberOf(bytes)))
  expect([all!.length, firstGap(all!, 100)]).toEqual([900, -1])
  expect([low!.length, firstGap(low!, 100)]).toEqual([200, -1])
  expect(odd).toEqual(all!.filter((number) => number % 2 === 1))
})

it('the filter judges the whole frame, also where little of it is kept', () => {
  const args = ['decap', `${GOLDEN}kernel-ipv4.pcap`, '-q', '--snaplen', '14', '--report', '-', '--out', 'null']
  const { stdout } = runCommand([...args, '--filter', 'ip[1000] >= 0'])
  expect(JSON.parse(stdout.toString())).toMatchObject({ received: 5, dropped: { filtered: 5 } })
  expect(JSON.parse(runCommand([...args, '--filter', 'icmp[100:4] >= 0']).stdout.toString())).toMatchObject({
    delivered: 5,
  })
})

it.each([
  [['--filter', 'tcp port'], '--filter "tcp port": '],
  [['--filter', 'tcp and udp'], 'rejects all packets'],
  [['--out', 'null?filter=port 70000'], '--out "null?filter=port 70000": '],
])('%j is refused with the reason, before anything is made', (options, what) => {
  const out = join(folder, 'out.pcap')
  const ended = runCommand(['decap', `${GOLDEN}kernel-ipv4.pcap`, '--out', `pcap:${out}`, ...options])
  expect(ended).toMatchObject({
    exitCode: 64,
    lines: [expect.stringContaining(what), expect.stringContaining('pcap-filter(7)')],
  })
  expect(() => framesOf(out)).toThrow()
})
