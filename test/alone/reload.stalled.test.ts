import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { numberedDatagrams, send } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux', 'mkfifo')
/** More than a pipe holds. */
const FRAMES = 2000

let folder = ''
let fifo = ''
let reader = 0
let collector: Collector
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reload-stalled-'))
  fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
})
afterEach(async () => {
  await collector?.dispose()
  closeSync(reader)
  rmSync(folder, { recursive: true, force: true })
})

it.each([0, 15, 30, 200])(
  'SIGTERM %i ms after a SIGHUP that removed a FIFO whose reader has stopped: it ends, and tells of all sinks',
  async (milliseconds) => {
    const config = join(folder, 'a.yaml')
    writeFileSync(config, `out: ["null", "pcap:${fifo}"]\n`)
    collector = await startCollector(['--config', config, '--listen', 'vxlan://127.0.0.1:0'])
    await send(numberedDatagrams(FRAMES), collector.ports[0]!)
    await until('all have arrived', async () => (await collector.statistics()).received === FRAMES)
    writeFileSync(config, 'out: "null"\n')
    collector.kill('SIGHUP')
    await setTimeout(milliseconds)
    collector.kill('SIGUSR1')
    collector.kill('SIGTERM')
    await until('it ends', () => collector.hasEnded, 8000)
    expect(await collector.exit()).toBe(0)
    // Whenever they were asked for.
    for (const { sinks } of collector.log.filter(({ msg }) => msg === 'Statistics.')) expect(sinks).toHaveLength(2)
    const report = collector.report()
    expectBalance(report)
    expect(report).toMatchObject({ received: FRAMES, sinks: [{ written: FRAMES }, { sink: `pcap:${fifo}` }] })
  },
)

it('SIGTERM while a SIGHUP brings a FIFO that has no room, so that it cannot be opened yet: it ends', async () => {
  const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK)
  expect(() => {
    for (;;) writeSync(writer, Buffer.alloc(4096))
  }).toThrow('EAGAIN')
  const config = join(folder, 'a.yaml')
  writeFileSync(config, 'out: "null"\n')
  collector = await startCollector(['--config', config, '--listen', 'vxlan://127.0.0.1:0'])
  writeFileSync(config, `out: ["null", "pcap:${fifo}"]\n`)
  collector.kill('SIGHUP')
  await until('it is being opened', () => hasOpen(collector.pid, fifo))
  await send(numberedDatagrams(10), collector.ports[0]!)
  collector.kill('SIGTERM')
  await until('it ends', () => collector.hasEnded, 8000)
  closeSync(writer)
  expect(await collector.exit()).toBe(0)
  expectBalance(collector.report())
  expect(collector.report()).toMatchObject({ received: 10, sinks: [{ sink: 'null', written: 10 }] })
})

function hasOpen(pid: number, path: string): boolean {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).some((name) => {
    try {
      return readlinkSync(join(folder, name)) === path
    } catch {
      // It was closed meanwhile.
      return false
    }
  })
}
