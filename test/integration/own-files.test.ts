import { spawnSync } from 'node:child_process'
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { runCommand } from '../support/command.ts'
import { outerCapture } from '../support/outer-capture.ts'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { numberedDatagrams } from '../support/sender.ts'

const COUNT = 100
const CAPTURE = outerCapture(numberedDatagrams(COUNT))

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'own-files-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

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
