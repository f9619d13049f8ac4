import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

requires('build').each([
  ['mirror-collector', 'dist/sinks/pcap/writer-thread.js', 'writer-thread.js'],
  ['mirror-collector', 'dist/pipeline/worker.js', 'worker.js'],
  ['mirror-collector', 'dist/cli/program.js', 'program.js'],
  ['mirror-collector', 'node_modules', 'commander'],
  ['mirror-sender', 'node_modules', 'commander'],
])('%s without %s, as while it is being installed, says so: no defect, no stack', (program, part, name) => {
  rmSync(join(folder, part))
  const args = program === 'mirror-sender' ? ['status'] : ['--listen', 'vxlan://127.0.0.1:0', '--out', 'pcap']
  const argv = [join(folder, 'dist/bin', `${program}.js`), ...args]
  const { status, stderr } = spawnSync(process.execPath, argv, { cwd: folder, encoding: 'utf8', timeout: 20_000 })
  const [what, mend, ...more] = stderr.trimEnd().split('\n')
  expect(what).toContain(`${program}: Part of the program is missing: `)
  expect(what).toContain(name)
  expect(mend).toContain('npm run build')
  expect(more).toEqual([])
  expect(status).toBe(69)
})
