import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'python')

/** What systemd's end is: a datagram socket of another program's, which prints what it got. */
const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name.startswith('@') else name)
print('bound', flush=True)
while True: print(repr(s.recv(4096).decode()), flush=True)
`

let folder = ''
let manager: ChildProcess
let service: ChildProcess
let heard: string[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'service-'))
})
afterEach(() => {
  manager.kill('SIGKILL')
  service.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

async function start(socket: string, environment: Record<string, string> = {}, ...args: string[]): Promise<void> {
  heard = []
  manager = spawn('python3', ['-c', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  manager.stdout!.setEncoding('utf8').on('data', (more: string) => {
    text += more
    heard = text.split('\n').slice(1, -1)
  })
  await until('the manager listens', () => text.startsWith('bound'))
  const options = ['--listen', 'vxlan://127.0.0.1:0', '--out', 'null', '-q', ...args]
  service = spawn(process.execPath, [BUILT_COMMAND, ...options], {
    stdio: 'ignore',
    env: { ...process.env, NOTIFY_SOCKET: socket, ...environment },
  })
}

const count = (what: string) => heard.filter((line) => line.includes(what)).length

it.each([['a path'], ['an abstract name']])(
  'at %s systemd hears that it is ready, reloads, is ready again, and stops',
  async (kind) => {
    await start(kind === 'a path' ? join(folder, 'notify') : `@${folder}`)
    await until('it is ready', () => heard.length === 1)
    expect(heard[0]).toMatch(/^'READY=1\\nSTATUS=127\.0\.0\.1:\d+ \(vxlan\)'$/)
    service.kill('SIGHUP')
    await until('it has reloaded', () => heard.length === 3)
    expect(heard[1]).toMatch(/^'RELOADING=1\\nMONOTONIC_USEC=\d+'$/)
    const microseconds = Number(/USEC=(\d+)/.exec(heard[1]!)![1])
    expect(Math.abs(microseconds - Number(process.hrtime.bigint() / 1000n))).toBeLessThan(10_000_000)
    expect(heard[2]).toBe("'READY=1'")
    service.kill('SIGTERM')
    await once(service, 'close')
    await until('it stops', () => heard.length === 4)
    expect(heard[3]).toBe("'STOPPING=1'")
    expect(service.exitCode).toBe(0)
  },
)

it('the watchdog is fed while the pipeline moves, at half its patience, and starves when the process stands still', async () => {
  await start(join(folder, 'notify'), { WATCHDOG_USEC: '400000' })
  await until('it is alive again and again', () => count('WATCHDOG=1') >= 5)
  service.kill('SIGSTOP')
  await until('it stands still', () => heard.at(-1) === "'WATCHDOG=1'")
  const before = count('WATCHDOG=1')
  // The manager's own clock: two of its patiences, in which a process that ran would have been heard four times.
  const end = performance.now() + 800
  await until('the time is over', () => performance.now() > end)
  expect(count('WATCHDOG=1')).toBeLessThanOrEqual(before + 1)
  service.kill('SIGCONT')
  await until('it goes on', () => count('WATCHDOG=1') > before + 2)
})

it('a watchdog that waits for another process is not fed', async () => {
  await start(join(folder, 'notify'), { WATCHDOG_USEC: '20000', WATCHDOG_PID: '1' }, '--duration', '500ms')
  await once(service, 'close')
  await until('all was heard', () => count('STOPPING=1') === 1)
  expect(heard).toHaveLength(2)
})

it('a manager that is not there keeps nobody from collecting', async () => {
  await start(join(folder, 'notify'), { NOTIFY_SOCKET: join(folder, 'nobody') }, '--duration', '100ms')
  await once(service, 'close')
  expect(service.exitCode).toBe(0)
  expect(heard).toEqual([])
})
