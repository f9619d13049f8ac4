import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { NOBODY, runCommand } from '../support/command.ts'
import { requires } from '../support/requirements.ts'
import { numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'root', 'tshark', 'setpriv')

let folder = ''
let collector: Collector
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'user-'))
  chownSync(folder, NOBODY, NOBODY)
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** What the kernel says of each of the process's threads: user ids, group ids, effective capabilities. */
function threads(pid: number): string[][] {
  return readdirSync(`/proc/${pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')
    return ['Uid', 'Gid', 'Groups', 'CapEff'].map((field) =>
      new RegExp(`^${field}:\\s*(.*?)\\s*$`, 'm').exec(status)![1]!.replaceAll('\t', ' '),
    )
  })
}

const four = (id: number) => Array(4).fill(id).join(' ')

it.each([['udp'], ['ring']])(
  'with %s no thread of it is root, or may do what root may, once it listens; it collects, opens files and reports',
  async (engine) => {
    const out = `pcap:${join(folder, '%H%M%S-{vni}.pcap')}`
    const listen = ['--listen', `vxlan://127.0.0.1:${engine === 'ring' ? 47_899 : 0}`, '--engine', engine]
    collector = await startCollector([...listen, '--out', out, '--user', 'nobody'], { owner: NOBODY })
    const kinds = new Set(threads(collector.pid).map((thread) => thread.join(' | ')))
    expect([...kinds]).toEqual([[four(NOBODY), four(NOBODY), `${NOBODY}`, '0'.repeat(16)].join(' | ')])
    expect(readdirSync(`/proc/${collector.pid}/task`).length).toBeGreaterThan(5)

    await send(numberedDatagrams(10), collector.ports[0]!)
    await until('all arrived', async () => (await collector.statistics()).delivered === 10)
    expect(await collector.stop()).toBe(0)
    expectBalance(collector.report())
    const [file] = readdirSync(folder).filter((name) => name.endsWith('.pcap'))
    expect(statSync(join(folder, file!)).uid).toBe(NOBODY)
    expect(framesOf(join(folder, file!)).map(({ bytes }) => numberOf(bytes))).toEqual([...Array(10).keys()])
  },
)

it('files that were opened as root become the user’s, and are written on; what others left there stays theirs', async () => {
  const [file, alien] = [join(folder, 'out.pcap'), join(folder, 'alien')]
  writeFileSync(alien, '')
  chmodSync(alien, 0o600)
  collector = await startCollector(
    ['--listen', 'vxlan://127.0.0.1:0', '--out', `pcap:${file}`, '--user', 'nobody:daemon'],
    { owner: NOBODY },
  )
  const { uid, gid } = statSync(file)
  expect([uid, gid]).toEqual([NOBODY, 1])
  expect(statSync(alien).uid).toBe(0)
  await send(numberedDatagrams(3), collector.ports[0]!)
  await until('all arrived', async () => (await collector.statistics()).delivered === 3)
  // Opens the file anew, by its name.
  collector.kill('SIGHUP')
  await send(numberedDatagrams(3, { first: 3 }), collector.ports[0]!)
  await until('all arrived', async () => (await collector.statistics()).sinks[0]!.written === 6)
  expect(await collector.stop()).toBe(0)
  expectBalance(collector.report())
})

it.each([
  [['--user', 'no-such-user-here'], [], 64, 'there is no user no-such-user-here'],
  [['--user', 'nobody:no-such-group-here'], [], 64, 'there is no group no-such-group-here'],
  [['--user', 'two words'], [], 64, '--user: "two words" is no user'],
  [['--user', 'nobody'], ['setpriv', '--reuid=65534', '--clear-groups'], 77, 'only root can become somebody else'],
])('%j is refused, and no port is opened or file made', (args, as, exitCode, what) => {
  const ended = runCommand(['--listen', 'vxlan://127.0.0.1:0', '--out', `pcap:${join(folder, 'x.pcap')}`, ...args], as)
  expect(ended.exitCode).toBe(exitCode)
  expect(ended.lines[0]).toContain(what)
  expect(ended.lines).toHaveLength(2)
  expect(readdirSync(folder)).toEqual([])
})

it('folders that were made as root become the user’s, too, and no others', async () => {
  mkdirSync(join(folder, 'old'))
  chmodSync(join(folder, 'old'), 0o777)
  const out = ['--out', `pcap:${folder}/%Y/%m/a.pcap`, '--out', `pcap:${folder}/old/b.pcap`]
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', ...out, '--user', 'nobody'], { owner: NOBODY })
  const [year = ''] = readdirSync(folder).filter((name) => name !== 'old')
  const [month = ''] = readdirSync(join(folder, year))
  const owners = [year, `${year}/${month}`, 'old', `${year}/${month}/a.pcap`].map(
    (name) => statSync(join(folder, name)).uid,
  )
  expect(owners).toEqual([NOBODY, NOBODY, 0, NOBODY])
  expect(statSync(tmpdir()).uid).toBe(0)
  collector.kill('SIGHUP')
  await send(numberedDatagrams(3), collector.ports[0]!)
  await until('all are written', async () => (await collector.statistics()).sinks.every(({ written }) => written === 3))
  expect(await collector.stop()).toBe(0)
  expect(collector.stderr).not.toContain('is closed to that user')
})

it('a folder that the user may not write to is told once it collects: files that are begun later will be lost', async () => {
  chownSync(folder, 0, 0)
  chmodSync(folder, 0o700)
  const out = ['--out', `pcap:${folder}/%H%M%S.pcap?rotate=1h`, '--out', 'null']
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', ...out, '--user', 'nobody'], {
    owner: NOBODY,
  })
  await until('it is told', () => collector.stderr.includes('is closed to that user'))
  expect(collector.stderr.split('\n')[0]).toContain('listening')
  expect(collector.stderr).toContain(`chown nobody ${folder}`)
  expect(await collector.stop()).toBe(0)
  expect(collector.stderr.split('is closed to that user')).toHaveLength(2)
})

it('a report that the user could not put in its place is refused at the start', () => {
  chownSync(folder, 0, 0)
  chmodSync(folder, 0o755)
  const ended = runCommand([
    '--listen',
    'vxlan://127.0.0.1:0',
    '--out',
    'null',
    '--user',
    'nobody',
    '--report',
    join(folder, 'report.json'),
  ])
  expect(ended.exitCode).toBe(73)
  expect(ended.lines.slice(-2)[0]).toContain('Cannot create the report')
})
