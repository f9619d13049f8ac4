import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { DyingWorkers } from '../support/dying-workers.ts'
import { requires } from '../support/requirements.ts'
import { numberedDatagrams, send } from '../support/sender.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux')
const READ_AGAIN = 'The configuration was read again.'

let folder = ''
let config = ''
let collector: Collector
let workers: DyingWorkers
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reload-workers-'))
  config = join(folder, 'a.yaml')
  workers = new DyingWorkers(folder)
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function start(text: string): Promise<void> {
  writeFileSync(config, text)
  collector = await startCollector(['--config', config, '--listen', 'vxlan://127.0.0.1:0'], workers.options)
}

async function change(text: string): Promise<void> {
  const changes = () => collector.log.filter(({ msg }) => msg === READ_AGAIN).length
  const before = changes()
  writeFileSync(config, text)
  collector.kill('SIGHUP')
  await until('the configuration was read again', () => changes() > before)
}

async function sendMore(frames: number): Promise<void> {
  const { received } = await collector.statistics()
  await send(numberedDatagrams(frames, { vni: 5 }), collector.ports[0]!)
  await until('all have arrived', async () => (await collector.statistics()).received === received + frames)
}

const START = 'allow-from: 127.0.0.0/8\nout: "null"\n'
/** As the start, but for one option, which lets nothing through. */
const CHANGES = [
  ['source-not-allowed', 'allow-from: 10.0.0.0/8\nout: "null"\n'],
  ['vni-not-allowed', `vni: 6\n${START}`],
  ['filtered', `filter: ether proto 0x1234\n${START}`],
  ['sampled', `sample: 1/4294967296\n${START}`],
  ['not-selected', 'allow-from: 127.0.0.0/8\nout: {type: "null", vni: 6}\n'],
] as const

it.each(CHANGES)('%s: what SIGHUP changed is in force after a worker died, too', async (reason, changed) => {
  await start(START)
  await change(changed)
  await workers.kill(collector)
  await sendMore(10)
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  const dropped = { [reason]: 10 }
  expect(report).toMatchObject(reason === 'not-selected' ? { sinks: [{ dropped }] } : { dropped })
})

it('a SIGHUP between a death and its successor is not lost', async () => {
  await start(START)
  // Each waits longer for its successor than the one before, the fourth for 400 ms.
  for (let death = 1; death <= 4; death++) await workers.kill(collector)
  await change(`vni: 6\n${START}`)
  await sendMore(10)
  expect(await collector.stop()).toBe(0)
  const report = collector.report()
  expectBalance(report)
  expect(report).toMatchObject({ workerRestarts: 4, dropped: { 'vni-not-allowed': 10 } })
})
