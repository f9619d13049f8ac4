import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { requires } from '../support/requirements.ts'

const PROJECT = new URL('../../', import.meta.url).pathname

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'missing-part-'))
  for (const part of ['dist', 'package.json']) cpSync(join(PROJECT, part), join(folder, part), { recursive: true })
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const COLLECT = ['--listen', 'vxlan://127.0.0.1:0', '--out', 'pcap']

requires('build').each([
  ['dist/bin/sinks-pcap-writer-thread', 'mirror-collector', COLLECT, 'writer-thread'],
  ['dist/bin/pipeline-worker', 'mirror-collector', COLLECT, 'pipeline-worker'],
  ['dist/bin/program-', 'mirror-collector', COLLECT, 'program-'],
  ['node_modules', 'mirror-collector', [...COLLECT, '--http', '127.0.0.1:0'], 'prom-client'],
  ['package.json', 'mirror-collector', COLLECT, 'package.json cannot be read'],
  ['package.json', 'mirror-sender', ['status'], 'package.json cannot be read'],
  ['dist/bin/sender-program-', 'mirror-sender', ['status'], 'sender-program-'],
])('without %s, as while it is being installed, %s %j says so: no defect, no stack', (part, program, args, name) => {
  const place = join(folder, dirname(part))
  const files = readdirSync(place).filter((file) => file.startsWith(basename(part)))
  expect(files).not.toEqual([])
  for (const file of files) rmSync(join(place, file))
  const argv = [join(folder, 'dist/bin', `${program}.js`), ...args]
  const { status, stderr } = spawnSync(process.execPath, argv, { cwd: folder, encoding: 'utf8', timeout: 20_000 })
  const [what, mend, ...more] = stderr.trimEnd().split('\n')
  expect(what).toContain(`${program}: Part of the program is missing: `)
  expect(what).toContain(name)
  expect(mend).toContain('npm run build')
  expect(more).toEqual([])
  expect(status).toBe(69)
})

requires('build').each([
  [['--listen', 'vxlan://127.0.0.1:0', '--engine', 'ring', '--out', 'null'], 'Use --engine dgram.'],
  [['decap', 'test/golden/kernel-ipv4.pcap', '--filter', 'tcp', '--out', 'null'], 'install it again'],
])('without koffi, %j is refused in two lines', (args, how) => {
  rmSync(join(folder, 'node_modules'), { recursive: true })
  const argv = [join(folder, 'dist/bin/mirror-collector.js'), ...args]
  const { status, stderr } = spawnSync(process.execPath, argv, { cwd: PROJECT, encoding: 'utf8', timeout: 20_000 })
  const [what, mend, ...more] = stderr.trimEnd().split('\n')
  expect(what).toContain("Cannot find module 'koffi'")
  expect(mend).toContain(how)
  expect(more).toEqual([])
  expect(status).toBe(69)
})
