import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { numberedDatagrams, send } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const CONFIG = new URL('../../config/', import.meta.url).pathname
const it = requires('build', 'linux', 'systemd-analyze', 'strace')

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'units-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The unit with commands that are here, at absolute paths, as the tools want them. */
function installed(name: string): string {
  const file = join(folder, name)
  const text = readFileSync(join(CONFIG, name), 'utf8')
  writeFileSync(file, text.replace(/^(Exec\w+=)mirror-(collector|sender) /gm, `$1${process.execPath} mirror-$2.js `))
  return file
}

it.each([['mirror-collector.service'], ['mirror-sender@.service']])('systemd finds nothing wrong with %s', (name) => {
  const { status, stderr } = spawnSync('systemd-analyze', ['verify', installed(name)], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

it.each([['mirror-collector.service'], ['mirror-sender@.service']])(
  '%s says truly where systemd looks for its command, and how a copy of this package gets there',
  (name) => {
    const text = readFileSync(join(CONFIG, name), 'utf8')
    const { version } = JSON.parse(readFileSync(join(CONFIG, '../package.json'), 'utf8')) as { version: string }
    expect(text).toContain(`npm pack && npm install -g ./mirror-collector-${version}.tgz`)
    const searched = execFileSync('systemd-path', ['search-binaries-default'], { encoding: 'utf8' }).trim().split(':')
    const [, said = ''] = /^# systemd looks for the command in (.+) and the like/m.exec(text) ?? []
    expect(searched).toEqual(expect.arrayContaining(said.split(', ')))
    // A name without a path, then, is looked for there alone.
    const unit = join(folder, name)
    writeFileSync(unit, text.replace(/^(Exec\w+=)mirror-(collector|sender) /gm, '$1nowhere-to-be-found '))
    const path = `${folder}:${process.env.PATH}`
    writeFileSync(join(folder, 'nowhere-to-be-found'), '#!/bin/sh\n', { mode: 0o755 })
    const options = { encoding: 'utf8', env: { ...process.env, PATH: path } } as const
    expect(spawnSync('systemd-analyze', ['verify', unit], options).stderr).toContain('nowhere-to-be-found')
  },
)

it('systemd finds the collector well shut in', () => {
  const text = execFileSync(
    'systemd-analyze',
    ['security', '--offline=yes', '--no-pager', installed('mirror-collector.service')],
    { encoding: 'utf8' },
  )
  expect(Number(/Overall exposure level .*: (\d+\.\d)/.exec(text)![1])).toBeLessThanOrEqual(1.5)
})

/** Names of system calls in systemd's set, sets in it included. */
function callsIn(set: string): Set<string> {
  const lines = execFileSync('systemd-analyze', ['syscall-filter', set], { encoding: 'utf8' }).split('\n')
  const names = lines.map((line) => line.trim()).filter((line) => /^@?[a-z]/.test(line) && line !== set)
  return new Set(names.flatMap((name) => (name.startsWith('@') ? [...callsIn(name)] : [name])))
}

it("the service's own command makes no system call that its unit forbids", async () => {
  const unit = readFileSync(join(CONFIG, 'mirror-collector.service'), 'utf8')
  expect(unit).toContain('SystemCallFilter=@system-service @pkey\nSystemCallFilter=~@privileged @resources\n')
  const words = /^ExecStart=mirror-collector (.*)$/m.exec(unit)![1]!.replaceAll('%%', '%').split(' ')
  const options = words.map((word) => word.replace('/var/lib/mirror-collector', folder).replace(':4789', 'vxlan://:0'))
  const trace = join(folder, 'trace')
  const strace = ['-f', '-c', '-U', 'name', '-o', trace, process.execPath, BUILT_COMMAND, ...options, '--count', '3']
  const child = spawn('strace', strace, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  try {
    await until('it listens', () => /listening.*\n/.test(log), 30_000)
    await send(numberedDatagrams(3), Number(/:(\d+) \(/.exec(log)![1]))
    await once(child, 'close')
  } finally {
    child.kill('SIGKILL')
  }
  const made = readFileSync(trace, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^[a-z_0-9]+$/.test(line) && !['syscall', 'total'].includes(line))
  expect(made).toContain('recvmmsg')
  const forbidden = new Set([...callsIn('@privileged'), ...callsIn('@resources')])
  const allowed = new Set([...callsIn('@system-service'), ...callsIn('@pkey')])
  expect(made.filter((call) => !allowed.has(call) || forbidden.has(call))).toEqual([])
})
