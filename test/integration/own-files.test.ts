import { spawnSync } from 'node:child_process'
import { linkSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { type Collector, startCollector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { outerCapture } from '../support/outer-capture.ts'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { numberedDatagrams } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const COUNT = 100
const CAPTURE = outerCapture(numberedDatagrams(COUNT))

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'own-files-'))
})
let collector: Collector | undefined
afterEach(async () => {
  await collector?.dispose()
  collector = undefined
  rmSync(folder, { recursive: true, force: true })
})

function path(name: string): string {
  return join(folder, name)
}

function put(...names: readonly string[]): void {
  for (const name of names) writeFileSync(path(name), CAPTURE)
}

const it = requires('build', 'linux')

describe('keep= never removes what decap reads', () => {
  it.each([
    ['of the same name', 'k.pcap', 'rotate=10MiB&keep=2'],
    ['of a name that the sink may give', 'k-5.pcap', 'rotate=1KiB&keep=1'],
  ])('%s', (_, input, query) => {
    put('k.pcap', 'k-1.pcap', input)
    const { exitCode, lines } = runCommand(['decap', path(input), '--out', `pcap:${path('k.pcap')}?${query}`])
    expect({ exitCode, lines }).toMatchObject({ exitCode: 0 })
    expect(lines.join('\n')).toContain(`: ${COUNT} frames written`)
    expect(readFileSync(path(input)).equals(CAPTURE)).toBe(true)
    expect(readdirSync(folder)).toHaveLength(1 + Number(query.at(-1)))
  })

  it('as standard input', () => {
    put('k.pcap')
    const args = ['decap', '-', '--out', `pcap:${path('k.pcap')}?rotate=1MiB&keep=1`]
    const stdio = [openSync(path('k.pcap'), 'r'), 'pipe', 'pipe'] as const
    const { status, stderr } = spawnSync(process.execPath, [BUILT_COMMAND, ...args], { stdio: [...stdio] })
    expect({ status, stderr: stderr.toString() }).toMatchObject({ status: 0 })
    expect(readFileSync(path('k.pcap')).equals(CAPTURE)).toBe(true)
  })
})

describe('two sinks whose files could have the same names are refused', () => {
  const OUT = ['pcap:same.pcap?rotate=1MiB', 'pcapng:same.pcap?rotate=1MiB&keep=1']

  function expectRefusal(args: readonly string[], names: readonly string[]): void {
    const { exitCode, lines } = runCommand(args)
    expect({ exitCode, lines: lines.length }).toEqual({ exitCode: 64, lines: 2 })
    expect(lines[0]).toContain(`${names.join(' and ')} could give files the same name`)
    expect(lines[1]).toContain('of its own')
  }

  it.each([
    [OUT.flatMap((sink) => ['--out', sink]), OUT.map((sink) => `--out ${sink}`)],
    [
      ['--out', OUT[0]!, '--quarantine', './same.pcap?keep=2'],
      [`--out ${OUT[0]}`, '--quarantine ./same.pcap?keep=2'],
    ],
    [
      ['--out', 'pcap:{vni}.pcap', '--out', 'null', '--out', 'pcap:100.pcap?rotate=1h&keep=2'],
      ['--out pcap:{vni}.pcap', '--out pcap:100.pcap?rotate=1h&keep=2'],
    ],
  ])('%j', (options, names) => {
    put('in.pcap')
    expectRefusal(['--listen', 'vxlan://127.0.0.1:0', ...options], names)
    expectRefusal(['decap', path('in.pcap'), ...options], names)
    expect(readdirSync(folder)).toEqual(['in.pcap'])
  })

  it('but a device takes what comes from both', () => {
    put('in.pcap')
    const { exitCode } = runCommand(['decap', path('in.pcap'), '--out', 'pcap:/dev/null', '--out', 'pcapng:/dev/null'])
    expect(exitCode).toBe(0)
  })

  it('on SIGHUP, and the old ones go on', async () => {
    const config = path('c.yaml')
    const text = (...sinks: readonly string[]) =>
      `listen: vxlan://127.0.0.1:0\nout:\n${sinks.map((sink) => `  - ${sink}\n`).join('')}`
    const [one, other] = OUT.map((sink) => sink.replace(':', `:${folder}/`)) as [string, string]
    writeFileSync(config, text(one))
    collector = await startCollector(['--config', config])
    writeFileSync(config, text(one, other))
    collector.kill('SIGHUP')
    await until('it is refused', () => collector!.stderr.includes('could give files the same name'))
    expect(await collector.stop()).toBe(0)
    expect(collector.report().sinks).toHaveLength(1)
  })
})

describe('--report replaces nothing of the run', () => {
  it.each([
    ['a.pcap.gz', ['--out', 'pcap:a.pcap?compress=gzip']],
    ['100.pcap', ['--out', 'pcap:{vni}.pcap']],
    ['a-1.pcap', ['--out', 'pcap:a.pcap?rotate=1KiB']],
    ['l/a.pcap', ['--out', 'pcap:a.pcap']],
    ['l/q.pcapng', ['--out', 'null', '--quarantine', 'q.pcapng']],
    ['l/in.pcap', ['--out', 'null']],
    ['other-name', ['--out', 'null']],
    ['l/c.yaml', ['--config', 'c.yaml', '--out', 'null']],
  ])('%s with %j', (report, options) => {
    put('in.pcap')
    writeFileSync(path('c.yaml'), '{vni: "100"}')
    symlinkSync('.', path('l'))
    linkSync(path('in.pcap'), path('other-name'))
    const before = readdirSync(folder)
    const args = [BUILT_COMMAND, 'decap', 'in.pcap', ...options, '--report', report]
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder })
    expect({ status, stderr: stderr.toString() }).toMatchObject({ status: 64 })
    expect(stderr.toString().trimEnd().split('\n')).toHaveLength(2)
    expect(stderr.toString()).toContain(`The report would replace ${report}`)
    expect(readdirSync(folder)).toEqual(before)
    expect(readFileSync(path('in.pcap')).equals(CAPTURE)).toBe(true)
  })

  it('standard input neither', () => {
    put('in.pcap')
    const args = [BUILT_COMMAND, 'decap', '-', '--out', 'null', '--report', path('in.pcap')]
    const { status } = spawnSync(process.execPath, args, { stdio: [openSync(path('in.pcap'), 'r'), 'pipe', 'pipe'] })
    expect(status).toBe(64)
    expect(readFileSync(path('in.pcap')).equals(CAPTURE)).toBe(true)
  })

  it('and no capture that lies there', () => {
    put('in.pcap', 'old.pcap')
    const { exitCode, lines } = runCommand(['decap', path('in.pcap'), '--out', 'null', '--report', path('old.pcap')])
    expect({ exitCode, lines: lines.length }).toEqual({ exitCode: 73, lines: 2 })
    expect(readFileSync(path('old.pcap')).equals(CAPTURE)).toBe(true)
  })
})
