import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdirSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import { makePipe } from '../support/pipes.ts'
import { requires, unmet } from '../support/requirements.ts'
import { Flood, firstGap, numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

const NEEDS = ['build', 'root', 'namespaces', 'ip', 'tshark'] as const
const it = requires(...NEEDS)
const LAST = 0xffff_0000
const OVERFLOW_SAID = 'its queue is full'

let folder = ''
let namespace: OwnNamespace | undefined
let collector: Collector | undefined
let flood: Flood | undefined
const undo: (() => void)[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slow-sinks-'))
  if (unmet(...NEEDS).length > 0) return
  namespace = new OwnNamespace()
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  for (const step of undo.splice(0).reverse()) step()
  await collector?.dispose()
  namespace?.leave()
  namespace = undefined
  rmSync(folder, { recursive: true, force: true })
})

/** A collector with a slow sink beside a file and a TAP that nobody listens on. */
async function startBeside(slow: string, stdout?: number): Promise<Collector> {
  const outs = [`${slow}?queue=1MiB`, `pcap:${folder}/all.pcap`, 'tap:ids0', 'null']
  const args = ['--listen', 'vxlan://127.0.0.1:0', ...outs.flatMap((out) => ['--out', out])]
  collector = await startCollector(args, { stdout })
  return collector
}

async function floodUntil(running: Collector, what: string, holds: (report: Report) => boolean): Promise<number> {
  flood = new Flood(running.ports[0]!, 64)
  await until(what, async () => holds(await running.statistics()))
  await flood.stop()
  return flood.sent
}

function overflowOf(report: Report): number {
  return report.sinks[0]!.dropped['sink-overflow'] ?? 0
}

/** Nobody but the slow sink has lost anything, which is said once. */
function expectOthersWhole(running: Collector, frames: number): void {
  const report = running.report()
  expectBalance(report)
  expect(report).toMatchObject({ received: frames, delivered: frames, kernelDropped: 0 })
  const [slow, ...others] = report.sinks
  expect(Object.keys(slow!.dropped)).toEqual(['sink-overflow'])
  for (const sink of others) expect(sink).toMatchObject({ written: frames, dropped: {} })
  expect(running.log.filter(({ msg }) => String(msg).includes(OVERFLOW_SAID)).map(({ sink }) => sink)).toEqual([
    slow!.sink,
  ])
  const numbers = framesOf(`${folder}/all.pcap`).map(({ bytes }) => numberOf(bytes))
  expect([numbers.length, firstGap(numbers.slice(0, -3)), numbers.slice(-3)]).toEqual([
    frames,
    -1,
    [LAST, LAST + 1, LAST + 2],
  ])
}

it('a FIFO whose reader has stopped: the loss is its own, and it goes on when the reader does', async () => {
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  undo.push(() => closeSync(reader))
  const running = await startBeside(`pcap:${fifo}`)
  const sent = await floodUntil(running, 'the queue overflows', (report) => overflowOf(report) > 5000)
  await until('it was said', () => running.stderr.includes(OVERFLOW_SAID))
  // Now it reads.
  const { written: before } = (await running.statistics()).sinks[0]!
  const chunk = Buffer.alloc(1 << 16)
  let read = 0
  const readSome = () => {
    try {
      read += readSync(reader, chunk)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
  const timer = setInterval(readSome, 1)
  undo.push(() => clearInterval(timer))
  await until('what waited has gone out', async () => {
    const { written } = (await running.statistics()).sinks[0]!
    return written > before && written + overflowOf(await running.statistics()) === sent
  })
  await send(numberedDatagrams(3, { first: LAST }), running.ports[0]!)
  expect(await running.stop()).toBe(0)
  expectOthersWhole(running, sent + 3)
  expect(running.report().sinks[0]!.written).toBe(sent + 3 - overflowOf(running.report()))
  expect(read).toBeGreaterThan(0)
})

it('a stopped reader of standard output: the loss is its own, and it goes on when the reader is continued', async () => {
  const pipe = makePipe()
  const copy = openSync(join(folder, 'copy.pcap'), 'w')
  const cat = spawn('cat', { stdio: [pipe.readEnd, copy, 'ignore'] })
  undo.push(() => cat.kill('SIGKILL'))
  cat.kill('SIGSTOP')
  const running = await startBeside('pcap:-', pipe.writeEnd)
  pipe.close()
  const sent = await floodUntil(running, 'the queue overflows', (report) => overflowOf(report) > 5000)
  await until('it was said', () => running.stderr.includes(OVERFLOW_SAID))
  cat.kill('SIGCONT')
  await until('what waited has gone out', async () => {
    const report = await running.statistics()
    return report.sinks[0]!.written + overflowOf(report) === sent
  })
  await send(numberedDatagrams(3, { first: LAST }), running.ports[0]!)
  expect(await running.stop()).toBe(0)
  await until('cat has read all', () => cat.exitCode !== null)
  closeSync(copy)
  expectOthersWhole(running, sent + 3)
  const numbers = framesOf(join(folder, 'copy.pcap')).map(({ bytes }) => numberOf(bytes))
  expect([numbers.length, numbers.slice(-3)]).toEqual([running.report().sinks[0]!.written, [LAST, LAST + 1, LAST + 2]])
})

requires(
  ...NEEDS,
  'losetup',
  'fsfreeze',
  'mkfs.ext4',
)('a disk that stands still for five seconds: the loss is its own, and nothing of what was queued', async () => {
  const disk = mountOwnDisk()
  const running = await startBeside(`pcap:${disk}/slow.pcap`)
  const freeze = (option: string) => execFileSync('fsfreeze', [option, disk])
  freeze('--freeze')
  let isFrozen = true
  const thaw = () => {
    if (isFrozen) freeze('--unfreeze')
    isFrozen = false
  }
  undo.push(thaw)
  const since = performance.now()
  const sent = await floodUntil(running, 'five seconds have passed', () => performance.now() - since > 5000)
  await until('it was said', () => running.stderr.includes(OVERFLOW_SAID))
  expect((await running.statistics()).sinks[0]!.written).toBe(0)
  thaw()
  await until('what waited has been written', async () => {
    const report = await running.statistics()
    return report.sinks[0]!.written + overflowOf(report) === sent
  })
  await send(numberedDatagrams(3, { first: LAST }), running.ports[0]!)
  expect(await running.stop()).toBe(0)
  expectOthersWhole(running, sent + 3)
  const numbers = framesOf(`${disk}/slow.pcap`).map(({ bytes }) => numberOf(bytes))
  expect([numbers.length, numbers.slice(-3)]).toEqual([running.report().sinks[0]!.written, [LAST, LAST + 1, LAST + 2]])
})

/** A file system of our own on a loop device: freezing it hurts nobody else. */
function mountOwnDisk(): string {
  const image = join(folder, 'image')
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  execFileSync('truncate', ['-s', '256M', image])
  execFileSync('mkfs.ext4', ['-q', image], { stdio: 'ignore' })
  execFileSync('mount', ['-o', 'loop', image, disk])
  undo.push(() => execFileSync('umount', ['--lazy', disk]))
  return disk
}
