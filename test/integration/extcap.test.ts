import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { readUdpStatistics } from '../../src/dgram-extended/udp-statistics.ts'
import { runCommand } from '../support/command.ts'
import { BUILT_COMMAND, requires } from '../support/requirements.ts'
import { numberedFrame, send, vxlan } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'tshark', 'dumpcap', 'libpcap')
const PORT = 47_901

let home = ''
let tshark: ChildProcess | undefined
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'extcap-'))
  // Wireshark 4.0's folder for a person's own programs, and that of later ones.
  for (const place of ['.config/wireshark/extcap', '.local/lib/wireshark/extcap']) {
    mkdirSync(join(home, place), { recursive: true })
    const wrapper = `#!/bin/sh\nexec ${process.execPath} ${BUILT_COMMAND} extcap "$@"\n`
    writeFileSync(join(home, place, 'mirror-collector'), wrapper, { mode: 0o755 })
  }
})
afterEach(async () => {
  if (tshark !== undefined && tshark.exitCode === null && tshark.signalCode === null) {
    tshark.kill('SIGTERM')
    await once(tshark, 'close')
  }
  tshark = undefined
  rmSync(home, { recursive: true, force: true })
})

const environment = () => ({ ...process.env, HOME: home, XDG_CONFIG_HOME: join(home, '.config') })
const isListening = () => readUdpStatistics(4)!.some(({ port }) => port === PORT)

it('tshark lists it among its interfaces, with its link type', () => {
  const run = (...args: string[]) =>
    execFileSync('tshark', args, { env: environment(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  expect(run('-D')).toMatch(/^\d+\. mirror \(Mirror collector/m)
  expect(run('-i', 'mirror', '-L')).toContain('EN10MB')
})

it('tshark captures from it what comes through tunnels, as its preferences ask; when it leaves, the port is free', async () => {
  const file = join(home, 'seen.pcapng')
  const preferences = [`listen:vxlan://127.0.0.1:${PORT}`, 'vni:7']
  const args = preferences.flatMap((text) => ['-o', `extcap.mirror.${text}`])
  tshark = spawn('tshark', ['-i', 'mirror', ...args, '-n', '-c', '2', '-w', file], {
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  tshark.stderr!.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const running = tshark
  await until('tshark or its collector is there', () => isListening() || running.exitCode !== null, 60_000)
  if (running.exitCode !== null) throw new Error(`tshark ended: ${log}`)
  const frames = [numberedFrame(1), numberedFrame(2, 1400)]
  await send([vxlan(7, frames[0]!), vxlan(8, numberedFrame(3)), vxlan(7, frames[1]!)], PORT)
  await once(tshark, 'close')
  expect(tshark.exitCode).toBe(0)
  expect(framesOf(file).map(({ bytes }) => bytes)).toEqual(frames.map((frame) => frame.toString('hex')))
  await until('the collector has ended', () => !isListening())
}, 120_000)

it('a capture filter reaches the collector, and a wrong one is told while it is typed', () => {
  const ask = (filter: string) =>
    runCommand(['extcap', '--extcap-interface', 'mirror', '--extcap-capture-filter', filter])
  expect(ask('tcp port 443').stdout.toString()).toBe('')
  expect(ask('tcp prt 443').stdout.toString()).toContain('the capture filter')
})

it.each([
  [['extcap'], 64, 'extcap is for Wireshark to call'],
  [['extcap', '--capture', '--extcap-interface', 'mirror'], 64, '--capture without --fifo'],
  [['extcap', '--capture', '--extcap-interface', 'mirror', '--fifo', '/nowhere/fifo'], 73, 'Cannot write to --fifo'],
])('%j is refused', (args, exitCode, what) => {
  const ended = runCommand(args)
  expect(ended.exitCode).toBe(exitCode)
  expect(ended.lines[0]).toContain(what)
})

it('what it does not know is passed over: Wireshark asks more with every version', () => {
  const ended = runCommand(['extcap', '--extcap-interfaces', '--extcap-version=9.9', '--extcap-something-new'])
  expect(ended.exitCode).toBe(0)
  expect(ended.stdout.toString()).toMatch(/^extcap \{version=.*\ninterface \{value=mirror\}/)
})
