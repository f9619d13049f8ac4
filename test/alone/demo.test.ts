import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const it = requires('root', 'namespaces', 'ip', 'tc', 'ethtool', 'tcpdump', 'build')
/** More than any demo takes. */
const LIMIT_MS = 60_000

let folder = ''
const started: ChildProcess[] = []
beforeEach(() => {
  // The demo's own files go there, so that what it leaves can be seen.
  folder = mkdtempSync(join(tmpdir(), 'demo-test-'))
})
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

interface Demo {
  readonly child: ChildProcess
  stdout: string
  stderr: string
}

function startDemo(words: readonly string[] = [], path = process.env.PATH): Demo {
  const argv = [...words, process.execPath, BUILT_COMMAND, 'demo']
  const child = spawn(argv[0]!, argv.slice(1), { env: { ...process.env, TMPDIR: folder, PATH: path } })
  started.push(child)
  const demo = { child, stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    demo.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    demo.stderr += text
  })
  return demo
}

async function exitOf({ child }: Demo): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  return child.exitCode
}

/** Namespaces and processes of one demo, and files. */
function leftovers({ child }: Demo): string[] {
  const namespaces = output('ip', 'netns', 'list')
    .split('\n')
    .filter((line) => line.startsWith(`mirror-demo-${child.pid}-`))
  const processes = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isOf(pid))
  return [...namespaces, ...processes, ...readdirSync(folder).filter((name) => name.startsWith('mirror-demo-'))]
}

/** Every process of the demo has its folder for temporary files in its environment. */
function isOf(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`TMPDIR=${folder}\0`)
  } catch {
    return false
  }
}

/** Without the timers of bridges that a machine may have, which run. */
const hostListings = () =>
  [output('ip', '-d', 'link'), output('tc', 'qdisc'), output('ip', 'route')]
    .join('\n')
    .replace(/ \w+_timer +[\d.]+/g, '')

it(
  'shows every frame on both sides, and leaves nothing',
  async () => {
    const before = hostListings()
    const demo = startDemo()
    expect({ exit: await exitOf(demo), stderr: demo.stderr }).toEqual({ exit: 0, stderr: '' })
    const [, seen, same] = /(\d+) frames were seen, (\d+) of them collected/.exec(demo.stdout) ?? []
    expect(Number(seen)).toBeGreaterThan(10)
    expect(same).toBe(seen)
    for (const what of ['ICMP echo reply', 'GET / HTTP/1.1', 'HTTP/1.1 200 OK', `"delivered":${seen},"dropped":{}`])
      expect(demo.stdout).toContain(what)
    expect(leftovers(demo)).toEqual([])
    expect(hostListings()).toBe(before)
  },
  LIMIT_MS,
)

it.each([
  ['SIGINT', '1  ', 130],
  ['SIGINT', '2  ', 130],
  ['SIGTERM', '3  ', 143],
  ['SIGINT', 'ip link add', 130],
  ['SIGTERM', '4  ', 143],
  ['SIGHUP', 'Hello', 129],
] as const)(
  'on %s when it has said "%s", it removes what it made',
  async (signal, word, exit) => {
    const demo = startDemo()
    await until(`it said ${word}`, () => demo.stdout.includes(word))
    demo.child.kill(signal)
    expect({ exit: await exitOf(demo), stderr: demo.stderr }).toEqual({ exit, stderr: '' })
    expect(demo.stdout).toContain('Interrupted.')
    expect(leftovers(demo)).toEqual([])
  },
  LIMIT_MS,
)

it(
  'when its reader leaves, it removes what it made',
  async () => {
    const demo = startDemo()
    await until('it said something', () => demo.stdout.includes('1  '))
    demo.child.stdout!.destroy()
    await exitOf(demo)
    expect(leftovers(demo)).toEqual([])
  },
  LIMIT_MS,
)

it(
  'when a command fails, it says which and removes what it made',
  async () => {
    writeFileSync(join(folder, 'ping'), '#!/bin/sh\necho "ping: no luck" >&2\nexit 1\n')
    chmodSync(join(folder, 'ping'), 0o755)
    const demo = startDemo([], `${folder}:${process.env.PATH}`)
    expect(await exitOf(demo)).toBe(69)
    expect(demo.stderr).toContain('ping: no luck')
    expect(leftovers(demo)).toEqual([])
  },
  LIMIT_MS,
)

it(
  'after a demo that was killed, the next one removes its hosts',
  async () => {
    const killed = startDemo()
    await until('its hosts are there', () => killed.stdout.includes('4  '))
    killed.child.kill('SIGKILL')
    await exitOf(killed)
    expect(leftovers(killed).filter((name) => name.startsWith(`mirror-demo-${killed.child.pid}`)).length).toBe(3)
    const next = startDemo()
    expect(await exitOf(next)).toBe(0)
    expect(output('ip', 'netns', 'list')).not.toContain(`mirror-demo-${killed.child.pid}`)
    // Of what it ran, nothing runs any more; its files are in the folder for temporary ones.
    expect(leftovers(killed).filter((left) => /^\d+$/.test(left))).toEqual([])
  },
  LIMIT_MS,
)

requires(
  'root',
  'setpriv',
  'build',
)('without root it says so, and shows what needs none', async () => {
  chmodSync(folder, 0o777)
  const demo = startDemo(['setpriv', '--reuid=65534', '--clear-groups', '--bounding-set=-all'])
  expect({ exit: await exitOf(demo), stderr: demo.stderr }).toEqual({ exit: 0, stderr: '' })
  expect(demo.stdout).toContain('That takes root')
  expect(demo.stdout.match(/ICMP echo request/g)?.length).toBe(5)
  expect(leftovers(demo)).toEqual([])
})
