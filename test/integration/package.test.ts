import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { requires, unmet } from '../support/requirements.ts'
import { numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const PROJECT = new URL('../../', import.meta.url).pathname
const LIMIT_MS = 120_000
const NEEDS = ['build', 'linux', 'npm-registry', 'tshark'] as const
const it = requires(...NEEDS)

let folder = ''
let installed = ''
/** A run in a folder that has nothing to do with the clone. */
const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: join(folder, 'empty'), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const bin = (name: string) => join(installed, '.bin', name)

describe('the packed package, installed in an empty folder', () => {
  beforeAll(() => {
    if (unmet(...NEEDS).length > 0) return
    folder = mkdtempSync(join(tmpdir(), 'package-'))
    mkdirSync(join(folder, 'empty'))
    // The build is there already; compiling it again would pull it away from under other tests.
    const pack = ['pack', PROJECT, '--silent', '--ignore-scripts', '--pack-destination', folder]
    const [tarball] = run('npm', ...pack)
      .trim()
      .split('\n')
    writeFileSync(join(folder, 'empty', 'package.json'), '{}')
    run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--omit=dev', join(folder, tarball!))
    installed = join(folder, 'empty', 'node_modules')
  }, LIMIT_MS)
  afterAll(() => {
    if (folder !== '') rmSync(folder, { recursive: true, force: true })
  })

  it('has both commands, and each tells its version and its options', () => {
    for (const name of ['mirror-collector', 'mirror-sender']) {
      expect(run(bin(name), '-V').trim()).toBe('0.1.0')
      expect(run(bin(name), '--help')).toContain(`Usage: ${name}`)
      expect(readdirSync(join(installed, 'mirror-collector/config/man'))).toContain(`${name}.1`)
    }
  })

  it('collects from a socket that system calls opened', async () => {
    const file = join(folder, 'collected.pcap')
    const args = ['--listen', 'vxlan://127.0.0.1:0', '--out', `pcap:${file}`, '--count', '3']
    const child = spawn(bin('mirror-collector'), args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
    try {
      let log = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text
      })
      await until('it listens', () => /listening.*\n/.test(log))
      expect(JSON.parse(log.split('\n')[0]!)).toMatchObject({ engine: 'udp' })
      await send(numberedDatagrams(3), Number(/:(\d+) \(/.exec(log)![1]))
      await once(child, 'close')
      expect(child.exitCode).toBe(0)
    } finally {
      child.kill('SIGKILL')
    }
    expect(framesOf(file).map(({ bytes }) => numberOf(bytes))).toEqual([0, 1, 2])
  })

  it('has its parts under their own names', () => {
    const script = `
      import { UdpSocket } from 'mirror-collector/dgram-extended'
      import { CaptureFiles } from 'mirror-collector/pcap-writer'
      console.log(typeof UdpSocket.open, typeof CaptureFiles)`
    expect(run(process.execPath, '--input-type=module', '-e', script).trim()).toBe('function function')
  })

  it('brings what the documentation points to, and no tests or sources', () => {
    const own = join(installed, 'mirror-collector')
    expect(readdirSync(join(own, 'config'))).toEqual(readdirSync(join(PROJECT, 'config')))
    expect(readdirSync(join(own, 'dist')).sort()).toEqual(['bin', 'dgram-extended', 'pcap-writer', 'telemetry'])
    expect(readdirSync(join(own, 'dist/bin'))).toContain('THIRD-PARTY-LICENSES')
    const code = readdirSync(own, { recursive: true, encoding: 'utf8' }).filter((name) => /\.ts$/.test(name))
    expect(code.filter((name) => !/\.d\.ts$/.test(name))).toEqual([])
  })
})
