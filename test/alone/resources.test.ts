import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { GOLDEN } from '../support/oracle.ts'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const LOOPBACK = ['--listen', 'vxlan://127.0.0.1:0']

let folder = ''
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'resources-'))
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const it = requires('build', 'linux', 'tshark')

function childrenOf(pid: number): string {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8'))
    .join('')
}

function namespaces(): string[] {
  return existsSync('/run/netns') ? readdirSync('/run/netns') : []
}

it('without --out the frames are in a file in the working folder, and nothing else is left', async () => {
  const before = namespaces()
  const running = await startCollector(LOOPBACK, { cwd: folder })
  collector = running
  await send(numberedDatagrams(3), running.ports[0]!)
  expect(childrenOf(running.pid)).toBe('')
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  expect(namespaces()).toEqual(before)
  const names = readdirSync(folder)
  expect(names).toEqual([expect.stringMatching(/^mirror-\d{8}-\d{6}\.pcap$/)])
  expect(framesOf(join(folder, names[0]!)).map((frame) => numberOf(frame.bytes))).toEqual([0, 1, 2])
  expect(running.log.filter(({ path }) => path === names[0])).toMatchObject([{ level: 'info', msg: 'File opened.' }])
  expect(running.stdout).toHaveLength(0)
})

it('the first line on standard error says where it listens, before any warning', async () => {
  const running = await startCollector([...LOOPBACK, '--engine', 'dgram', '--out', 'null'])
  collector = running
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  const [first, second] = running.log
  expect(running.stderr.startsWith('{')).toBe(true)
  expect(first).toMatchObject({ level: 'info', msg: `listening on 127.0.0.1:${running.ports[0]} (vxlan)` })
  expect(second).toMatchObject({ level: 'warn' })
})

it('the closing lines tell what tcpdump tells, and every reason', async () => {
  const running = await startCollector([...LOOPBACK, '--vni', '100', '--out', 'null?vni=5'])
  collector = running
  await send([...numberedDatagrams(3), ...numberedDatagrams(2, { vni: 7 })], running.ports[0]!)
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  expect(running.stderr.split('\n').filter((line) => !line.startsWith('{'))).toEqual([
    '3 frames captured',
    '5 packets received',
    '0 packets dropped by kernel',
    '2 packets not delivered: vni-not-allowed 2',
    'null?vni=5: 0 frames written, not written: not-selected 3',
    '',
  ])
})

it('--report - is one JSON object on standard output, and with --quiet nothing is said beside it', async () => {
  const capture = `${GOLDEN}kernel-ipv4.pcap`
  const { exitCode, lines, stdout } = runCommand(['decap', capture, '--out', 'null', '--report', '-', '--quiet'])
  expect(exitCode).toBe(0)
  expect(lines).toEqual([''])
  const report = JSON.parse(stdout.toString()) as Report
  expectBalance(report)
  expect(report).toEqual({
    received: 5,
    delivered: 5,
    dropped: {},
    kernelDropped: 0,
    vnis: { 42: 5 },
    sinks: [{ sink: 'null', written: 5, bytes: expect.any(Number), dropped: {} }],
  })
})

// Between these V8 gets 10 GiB for WebAssembly's memory, and then has none for the thread that comes next.
it.each([6, 12, 13])('collects also where the address space is limited to %i GiB', async (gibibytes) => {
  const running = await startCollector([...LOOPBACK, '--out', `pcap:${folder}/out.pcap`], {
    cwd: folder,
    under: ['prlimit', `--as=${gibibytes * 2 ** 30}`, '--'],
  })
  collector = running
  await send(numberedDatagrams(50), running.ports[0]!)
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  const numbers = framesOf(`${folder}/out.pcap`).map((frame) => numberOf(frame.bytes))
  expect(numbers).toEqual(Array.from({ length: 50 }, (_, number) => number))
})

it('queues that the address space has no room for are refused, with what would help', () => {
  const limit = ['prlimit', `--as=${4 * 2 ** 30}`, '--', process.execPath, BUILT_COMMAND]
  const options = [...LOOPBACK, '--out', `pcap:${folder}/out.pcap?queue=1GiB`]
  const { status, stderr } = spawnSync(limit[0]!, [...limit.slice(1), ...options], { encoding: 'utf8' })
  expect([status, stderr]).toEqual([69, expect.stringMatching(/no address space.* MiB together\.\nLower queue=/)])
})

it('reopening files again and again leaks no descriptor', async () => {
  const file = join(folder, 'out.pcap')
  const running = await startCollector([...LOOPBACK, '--out', `pcap:${file}`])
  collector = running
  const descriptors = () => readdirSync(`/proc/${running.pid}/fd`).length
  let before = 0
  const rounds = 10
  for (let round = 0; round < rounds; round++) {
    await send(numberedDatagrams(1, { first: round }), running.ports[0]!)
    await until('it is written', async () => (await running.statistics()).sinks[0]!.written === round + 1)
    if (round === 0) before = descriptors()
    else expect(descriptors()).toBe(before)
    renameSync(file, `${file}.${round}`)
    running.kill('SIGHUP')
    // The next frame goes to a new file: the request is served before it comes.
    await until('the file is finished', () => descriptors() === before - 1)
  }
  expect(await running.stop()).toBe(0)
  expectBalance(running.report())
  expect(readdirSync(folder)).toHaveLength(rounds)
  expect(framesOf(`${file}.7`).map((frame) => numberOf(frame.bytes))).toEqual([7])
})
