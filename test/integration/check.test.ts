import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { startCollector } from '../support/collector.ts'
import { NOBODY, runCommand } from '../support/command.ts'
import { GOLDEN } from '../support/oracle.ts'
import { requires } from '../support/requirements.ts'

const it = requires('build', 'linux')
const AS_NOBODY = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups']
const WITHOUT_NET_ADMIN = ['setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin']
const LISTEN = ['--listen', 'vxlan://127.0.0.1:0']

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'check-'))
  chmodSync(folder, 0o755)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Findings {
  works: boolean
  exitCode: number
  findings: { level: string; about: string; what: string; mend?: string; exitCode?: number }[]
}

function checked(args: readonly string[], as?: readonly string[]): Findings {
  const { exitCode, stdout } = runCommand(['check', '--json', ...args], as)
  const findings = JSON.parse(stdout.toString()) as Findings
  expect(findings.exitCode).toBe(exitCode)
  expect(findings.works).toBe(exitCode === 0)
  return findings
}

requires(
  'build',
  'linux',
  'root',
)('MTUs are those of its own network namespace, whose /sys may be another', () => {
  const inside = (script: string) =>
    checked(['--out', 'null'], ['unshare', '-n', 'sh', '-c', `${script} exec "$@"`, '-'])
  const mtus = ({ findings }: Findings) => findings.filter(({ about }) => about === 'mtu').map(({ what }) => what)
  expect(mtus(inside(''))).toEqual([])
  expect(mtus(inside('ip link add mc0 mtu 1407 type veth peer name mc1;'))).toEqual([
    expect.stringContaining('mc0 1407'),
  ])
})

/** check tells what collecting with the same options ends with, and that is the code. */
function expectForetold(args: readonly string[], exitCode: number, what: RegExp, as?: readonly string[]): void {
  const { findings, ...found } = checked(args, as)
  expect({ args, ...found }).toMatchObject({ works: false, exitCode })
  const failures = findings.filter(({ level }) => level === 'fail')
  expect(failures).toHaveLength(1)
  expect(failures[0]!.what).toMatch(what)
  expect(failures[0]!.mend).toBeTruthy()
  expect(runCommand([...args, '--duration', '1s'], as).exitCode).toBe(exitCode)
}

it('where collecting works it says so, and leaves nothing behind', async () => {
  const args = [...LISTEN, '--out', `pcap:${folder}/%Y/a.pcap`, '--out', 'null?filter=tcp port 443']
  const { exitCode, findings } = checked(args)
  expect(exitCode).toBe(0)
  expect(readdirSync(folder)).toEqual([])
  const collector = await startCollector(args)
  expect(await collector.stop()).toBe(0)
  await collector.dispose()
  const about = findings.map((finding) => finding.about)
  for (const name of ['listening', 'receive buffer', `sink pcap:${folder}/%Y/a.pcap`, 'capabilities', 'clock', 'mtu'])
    expect(about).toContain(name)
  for (const { what } of findings) expect(what).toMatch(/^[^\n]+$/)
})

it('in words, each finding is a line, and the last one says whether it will work', () => {
  const works = runCommand(['check', ...LISTEN, '--out', 'null'])
  expect(works.exitCode).toBe(0)
  const lines = works.stdout.toString().trimEnd().split('\n')
  expect(lines[0]).toMatch(/^ok {4}listening: --engine udp can listen on 127\.0\.0\.1:\d+ \(vxlan\)$/)
  expect(lines.at(-1)).toMatch(/^Collecting will work/)
  const fails = runCommand(['check', ...LISTEN, '--out', `pcap:${folder}/none/a.pcap`]).stdout.toString()
  expect(fails).toMatch(/\nFAIL {2}sink pcap:.*does not exist\n {6}Create it: mkdir -p .*\n/)
  expect(fails).toMatch(/\nCollecting will not work: 1 to mend/)
})

it('a port in use: 69, and whose it is', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const listen = `vxlan://127.0.0.1:${socket.address().port}`
  expectForetold(['--listen', listen, '--out', 'null'], 69, new RegExp(`in use by .*process ${process.pid}`))
  socket.close()
})

it('a folder that is not there: 73', () => {
  expectForetold([...LISTEN, '--out', `pcap:${folder}/none/a.pcap`], 73, /none does not exist/)
})

it('a file that is there: 73, and one that another sink has: 64; where files get numbers or the time, neither', () => {
  const full = join(folder, 'full.pcap')
  writeFileSync(full, 'precious')
  const given = [...LISTEN, '--out']
  const fine = `pcap:${folder}/fine.pcap`
  expectForetold([...given, `pcap:${full}`], 73, /it exists, and files are never overwritten/)
  writeFileSync(join(folder, 'a.gz'), '')
  expectForetold([...given, `pcapng:${folder}/a?compress=gzip`], 73, /a\.gz: it exists/)
  expectForetold([...given, 'null', '--quarantine', full], 73, /it exists, and files are never overwritten/)
  expectForetold([...given, fine, '--out', `pcapng:${folder}/./fine.pcap`], 64, /could give files the same name/)
  expectForetold([...given, fine, '--quarantine', `${folder}/fine.pcap`], 64, /could give files the same name/)
  expectForetold([...given, `pcap:${folder}/none/{vni}/a`], 73, /none does not exist/)
  symlinkSync('/nowhere', join(folder, 'link'))
  expectForetold([...given, `pcap:${folder}/link`], 73, /it exists/)
  const others = ['--out', `pcap:${folder}/%H/a.pcap`, '--out', 'pcap:/dev/null']
  const works = [...given, `pcap:${full}?rotate=1h`, ...others, '--out', 'pcap:/dev/null']
  expect(checked(works).exitCode).toBe(0)
  expect(runCommand([...works, '--duration', '100ms']).exitCode).toBe(0)
})

requires(
  'build',
  'linux',
  'root',
  'namespaces',
  'ip',
  'setpriv',
)('a device that is no TAP, or that another has: 73; none, and no right to make one: 77', () => {
  const inside = (script: string, ...as: string[]) => ['unshare', '-n', 'sh', '-c', `${script} exec "$@"`, '-', ...as]
  const tap = (name: string) => ['--engine', 'dgram', '--listen', 'vxlan://0.0.0.0:4799', '--out', `tap:${name}`]
  const made = 'ip link add mc0 type veth peer name mc1; ip tuntap add dev mc2 mode tap user root; ip link set mc2 up;'
  expectForetold(tap('mc0'), 73, /mc0 is there already, and is no TAP device/, inside(made))
  expectForetold([...tap('mc2'), '--out', 'tap:mc2?pace=10'], 73, /another sink has the TAP device mc2/, inside(made))
  expectForetold(tap('mc3'), 77, /The TAP device mc3 needs CAP_NET_ADMIN/, inside(made, ...WITHOUT_NET_ADMIN))
  expect(checked(tap('mc2'), inside(made, ...WITHOUT_NET_ADMIN)).exitCode).toBe(0)
  expect(runCommand([...tap('mc2'), '--duration', '100ms'], inside(made, ...WITHOUT_NET_ADMIN)).exitCode).toBe(0)
})

it('a report that could not be written: 73, and one that would replace a capture: 64', () => {
  const given = [...LISTEN, '--out', `pcap:${folder}/a.pcap`, '--report']
  expectForetold([...given, `${folder}/none/r.json`], 73, /none does not exist/)
  expectForetold([...given, folder], 73, /it is a folder/)
  expectForetold([...given, `${folder}/a.pcap`], 64, /The report would replace/)
  writeFileSync(join(folder, 'c.yaml'), `log-level: info\n`)
  expectForetold(['--config', `${folder}/c.yaml`, ...given, `${folder}/c.yaml`], 64, /The report would replace/)
  expect(checked([...given, `${folder}/r.json`]).exitCode).toBe(0)
  expect(readdirSync(folder)).toEqual(['c.yaml'])
})

it('a TCP port that is taken, or wanted twice: 69', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const given = [...LISTEN, '--out', 'null']
  expectForetold([...given, '--http', `${port}`], 69, new RegExp(`--http: cannot listen on 127\\.0\\.0\\.1:${port}`))
  expectForetold([...given, '--health-port', `${port}`], 69, /--health-port: cannot listen/)
  server.close()
  await once(server, 'close')
  expectForetold([...given, '--http', `${port}`, '--health-port', `${port}`], 69, /--http: cannot listen/)
  expect(checked([...given, '--http', `${port}`]).exitCode).toBe(0)
})

requires(
  'build',
  'linux',
  'root',
  'setpriv',
)('a user whom nobody knows: 64; not root: 77', () => {
  const given = [...LISTEN, '--out', 'null', '--user']
  expectForetold([...given, 'nosuchuser'], 64, /there is no user nosuchuser/)
  expectForetold([...given, 'nobody:nosuchgroup'], 64, /there is no group nosuchgroup/)
  expectForetold([...given, 'nobody'], 77, /only root can become somebody else/, AS_NOBODY)
  expect(checked([...given, 'nobody']).exitCode).toBe(0)
})

requires(
  'build',
  'linux',
  'root',
)("a folder that is not the user's: a warning for sinks, which begin as root; 73 for the report", () => {
  mkdirSync(join(folder, 'closed'), { mode: 0o700 })
  mkdirSync(join(folder, 'own'))
  chownSync(join(folder, 'own'), NOBODY, NOBODY)
  const given = (path: string) => [...LISTEN, '--out', `pcap:${path}/%H.pcap?rotate=1h`, '--user', 'nobody']
  const warnings = (args: readonly string[]) =>
    checked(args).findings.filter(({ level, about }) => level === 'warn' && about === 'user')
  expect(warnings(given(`${folder}/own`))).toEqual([])
  const told = warnings(given(`${folder}/closed`))
  expect(told).toHaveLength(1)
  expect(told[0]!.what).toContain(`${folder}/closed is closed to that user`)
  expect(told[0]!.mend).toContain(`chown nobody ${folder}/closed`)
  const report = [...LISTEN, '--out', 'null', '--user', 'nobody', '--report']
  expectForetold([...report, `${folder}/closed/r.json`], 73, /permission denied/)
  expect(checked([...report, `${folder}/own/r.json`]).exitCode).toBe(0)
})

it('with two things wrong it ends as collecting does, which opens files before it listens', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const args = ['--listen', `vxlan://127.0.0.1:${socket.address().port}`, '--out', `pcap:${folder}/none/a.pcap`]
  expect(checked(args).exitCode).toBe(73)
  expect(runCommand(args).exitCode).toBe(73)
  socket.close()
})

it('an interface that is not there: 69', () => {
  expectForetold([...LISTEN, '--out', 'interface:mcnone0'], 69, /there is no interface mcnone0/)
})

it('a broker that does not answer: 69', () => {
  expectForetold([...LISTEN, '--out', 'kafka:127.0.0.1:1/mirror'], 69, /127\.0\.0\.1:1: connect ECONNREFUSED/)
})

requires(
  'build',
  'linux',
  'libpcap',
)('a filter that is none: 64', () => {
  expectForetold([...LISTEN, '--out', 'null', '--filter', 'tcp prt 443'], 64, /--filter/)
  expectForetold([...LISTEN, '--out', 'null?filter=tcp prt 443'], 64, /--out "null\?filter=tcp prt 443"/)
})

it('a configuration that is wrong: 78', () => {
  writeFileSync(join(folder, 'a.yaml'), 'vnis: 5\n')
  const { exitCode, lines } = runCommand(['check', '--config', join(folder, 'a.yaml')])
  expect(exitCode).toBe(78)
  expect(lines[0]).toContain('a.yaml:1:7: "vnis" is no option; the nearest is "vni"')
})

requires(
  'build',
  'root',
  'setpriv',
)('a capability that is missing: 77, and a folder that is not ours: 73', () => {
  expectForetold(['--listen', 'gre://127.0.0.1', '--out', 'null'], 77, /CAP_NET_RAW/, AS_NOBODY)
  expectForetold([...LISTEN, '--out', `pcap:${folder}/a.pcap`], 73, /permission denied/, AS_NOBODY)
  const small = checked([...LISTEN, '--out', 'null', '--buffer', '512MiB'], AS_NOBODY)
  expect(small.exitCode).toBe(0)
  expect(small.findings.find(({ about }) => about === 'receive buffer')).toMatchObject({
    level: 'warn',
    mend: expect.stringContaining('sysctl -w net.core.rmem_max=536870912'),
  })
})

it('--engine dgram is limited by net.core.rmem_max, whatever capability it has', () => {
  const small = checked([...LISTEN, '--engine', 'dgram', '--out', 'null', '--buffer', '512MiB'])
  expect(small.findings.find(({ about }) => about === 'receive buffer')).toMatchObject({
    level: 'warn',
    mend: 'sysctl -w net.core.rmem_max=536870912, or use --engine udp with CAP_NET_ADMIN.',
  })
  expect(small.findings.find(({ about }) => about === 'capabilities')?.what).toContain('(not of --engine dgram)')
  const warnings = small.findings.filter(({ about, level }) => about === 'listening' && level === 'warn')
  expect(warnings.map(({ what }) => what)).toContainEqual(
    expect.stringMatching(/Receive buffer: .* or use --engine udp with CAP_NET_ADMIN\.$/),
  )
})

it('--print shows the configuration, as a file that means the same', () => {
  const args = ['--vni', '1,!2', '--out', `pcap:${folder}/a.pcap?rotate=1h`, ...LISTEN]
  const { exitCode, stdout } = runCommand(['check', '--print', ...args])
  expect(exitCode).toBe(0)
  writeFileSync(join(folder, 'a.yaml'), stdout)
  const again = runCommand(['check', '--print', '--config', join(folder, 'a.yaml')])
  const withoutComments = (text: string) => text.replace(/^#.*\n/gm, '')
  expect(withoutComments(again.stdout.toString())).toBe(withoutComments(stdout.toString()))
})

it('--print --json shows it as one JSON object, which is such a file, too', () => {
  const args = ['--vni', '1,!2', '--out', `pcap:${folder}/a.pcap?rotate=1h`, ...LISTEN]
  const { exitCode, stdout } = runCommand(['check', '--print', '--json', ...args])
  expect(exitCode).toBe(0)
  expect(JSON.parse(stdout.toString())).toMatchObject({
    vni: '1,!2',
    out: [`pcap:${folder}/a.pcap?rotate=1h`],
    'log-level': 'info',
  })
  writeFileSync(join(folder, 'a.json'), stdout)
  const again = runCommand(['check', '--print', '--json', '--config', join(folder, 'a.json')])
  expect(JSON.parse(again.stdout.toString())).toEqual(JSON.parse(stdout.toString()))
})

it('a misspelt variable: collecting, decap and check warn, and name the nearest', () => {
  const told = /MIRROR_COLLECTOR_SNAPLN is no option's .*MIRROR_COLLECTOR_SNAPLEN/
  const environment = ['env', 'MIRROR_COLLECTOR_SNAPLN=3']
  const collecting = runCommand([...LISTEN, '--out', 'null', '--duration', '100ms'], environment)
  expect(collecting.exitCode).toBe(0)
  expect(collecting.lines[0]).toContain('listening')
  expect(JSON.parse(collecting.lines[1]!)).toMatchObject({ level: 'warn', msg: expect.stringMatching(told) })
  const decap = runCommand(['decap', `${GOLDEN}kernel-ipv4.pcap`, '--out', 'null'], environment)
  expect(decap.exitCode).toBe(0)
  expect(decap.lines.join('\n')).toMatch(told)
  const { exitCode, findings } = checked([...LISTEN, '--out', 'null'], environment)
  expect(exitCode).toBe(0)
  expect(findings.find(({ about }) => about === 'environment')).toMatchObject({
    level: 'warn',
    what: expect.stringMatching(told),
  })
})
