import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { joinedNamespaces, type NamespacePair } from '../support/namespaces.ts'
import { requires } from '../support/requirements.ts'
import { addPeer, type Peer } from './mirrored-host.ts'
import { runSender } from './sender-command.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'build')

let folder = ''
let hosts: NamespacePair
let peer: Peer

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'classifiers-'))
  hosts = joinedNamespaces()
  peer = addPeer(hosts.left, 1400)
})
afterEach(() => {
  peer.dispose()
  hosts.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** How the probe's line for each classifier becomes one that this kernel has, and one that none has. */
const THERE = {
  bpf: '',
  u32: '',
  flower: 's/ all flower / all u32 match u32 0 0 /',
  matchall: 's/ all matchall / all u32 match u32 0 0 /',
}
const MISSING = {
  bpf: 's/ all bpf / all nonesuch /',
  u32: 's/ all u32 / all nonesuch /',
  flower: 's/ all flower / all nonesuch /',
  matchall: 's/ all matchall / all nonesuch /',
}
type Classifier = keyof typeof THERE

/** A `tc` whose probing meets a kernel with just these classifiers; all else goes to the real one. */
function kernelWith(...classifiers: Classifier[]): string[] {
  const real = execFileSync('sh', ['-c', 'command -v tc'], { encoding: 'utf8' }).trim()
  const all = Object.keys(THERE) as Classifier[]
  // What is missing goes first, so that what stands in for another is not taken for it.
  const edits = [
    ...all.filter((each) => !classifiers.includes(each)).map((each) => MISSING[each]),
    ...classifiers.map((each) => THERE[each]),
  ].filter((edit) => edit !== '')
  const sed = edits.map((edit) => `-e '${edit}'`).join(' ')
  const script = `#!/bin/sh\ncase "$*" in -force*) sed ${sed} | ${real} "$@"; exit;; esac\nexec ${real} "$@"\n`
  writeFileSync(join(folder, 'tc'), script)
  chmodSync(join(folder, 'tc'), 0o755)
  return ['env', `PATH=${folder}:${process.env.PATH}`]
}

const plan = (device: string, classifiers: Classifier[], ...options: string[]) => {
  const wish = ['plan', '--interface', device, '--collector', hosts.right.ipv4, '--vni', '100', ...options]
  const { exitCode, lines, stdout } = runSender(hosts.left, wish, kernelWith(...classifiers))
  const filters = stdout
    .toString()
    .split('\n')
    .filter((line) => line.startsWith(`tc filter add dev ${device}`))
  return { exitCode, lines, kinds: [...new Set(filters.map((line) => / (bpf|u32|flower|matchall) /.exec(line)?.[1]))] }
}

it('takes the first of bpf, u32, flower and matchall that the kernel proves to have', () => {
  const choices: [Classifier[], Classifier][] = [
    [['bpf', 'u32', 'flower', 'matchall'], 'bpf'],
    [['u32', 'flower', 'matchall'], 'u32'],
    [['flower', 'matchall'], 'flower'],
    [['matchall'], 'matchall'],
  ]
  for (const [there, chosen] of choices) {
    expect({ there, ...plan(peer.device, there) }).toMatchObject({ exitCode: 0, kinds: [chosen] })
  }
  expect(plan(peer.device, ['flower']).lines.join('\n')).toMatch(/ICMP errors are not mirrored/)
}, 60_000)

it('refuses what the classifier that is there cannot do, in two lines', () => {
  const { device } = hosts.left
  const cases: [ReturnType<typeof plan>, RegExp][] = [
    [plan(device, ['matchall']), /leads through veth1: without the bpf classifier, .* the mirror would copy itself/],
    [plan(peer.device, ['flower'], '--filter', 'udp'), /no bpf classifier, which --filter/],
    [plan(peer.device, ['matchall'], '--snaplen', '96'), /no bpf classifier, which --filter/],
    [plan(peer.device, []), /none of the classifiers bpf, u32, flower and matchall/],
  ]
  for (const [{ exitCode, lines }, what] of cases) {
    expect({ exitCode, count: lines.length }).toEqual({ exitCode: 69, count: 2 })
    expect(lines[0]).toMatch(what)
  }
  expect(plan(device, ['flower'])).toMatchObject({ exitCode: 0, kinds: ['flower'] })
}, 60_000)
