import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { expectBalance } from '../support/collector.ts'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'

const it = requires('build', 'linux', 'mkfifo')
const INPUT = new URL('../golden/kernel-ipv4.pcap', import.meta.url).pathname

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-trouble-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Runs decap with a standard error of one's own; the exit code, and the report. */
async function decapWithStandardError(fd: number): Promise<{ exit: number | null; report: string }> {
  const report = join(folder, 'report.json')
  const args = ['decap', INPUT, '--out', `pcap:${join(folder, 'out.pcap')}`, '--log-level', 'debug', '--report', report]
  const child = spawn(process.execPath, [BUILT_COMMAND, ...args], { stdio: ['ignore', 'ignore', fd] })
  const exit = await new Promise<number | null>((resolve) => child.once('exit', resolve))
  return { exit, report: readFileSync(report, 'utf8') }
}

it('a full disk under the log ends nothing, and the report is written', async () => {
  const { exit, report } = await decapWithStandardError(openSync('/dev/full', 'w'))
  expect(exit).toBe(0)
  expectBalance(JSON.parse(report))
})

it('a reader of the log that takes nothing holds nothing up', async () => {
  const path = join(folder, 'log')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, 'r+')
  execFileSync('sh', ['-c', `head -c 65536 /dev/zero > ${path}`])
  const { exit, report } = await decapWithStandardError(openSync(path, 'w'))
  expect(exit).toBe(0)
  expectBalance(JSON.parse(report))
  expect(fd).toBeGreaterThan(2)
})
