import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { numbersRead } from '../support/numbers-read.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap } from '../support/sender.ts'
import { SmallDisk } from '../support/small-disk.ts'
import { until } from '../support/waiting.ts'

/**
 * A pcap file as the only sink: the pipeline's thread writes a file that the sink's thread lends it. Whatever happens
 * to the file is to be as with the queue.
 */
const NEEDS = ['build', 'linux', 'root', 'namespaces', 'ip', 'ethtool', 'tcpdump'] as const
const it = requires(...NEEDS)
const OPTIONS = ['--listen', 'vxlan://127.0.0.1:4789', '--snaplen', '18', '--buffer', '64MiB']

let engine = ''
let namespace: OwnNamespace
let folder = ''
let collector: Collector | undefined
let flood: Flood | undefined
const undo: (() => void)[] = []
beforeEach(() => {
  namespace = new OwnNamespace()
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  // A ring would see many datagrams as one.
  execFileSync('ethtool', ['-K', 'lo', 'tx-udp-segmentation', 'off'])
  folder = mkdtempSync(join(tmpdir(), 'lent-file-'))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  for (const step of undo.splice(0).reverse()) step()
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
  namespace.leave()
})

/** Collects, with a flood of some 64 frames a millisecond. */
async function start(out: string): Promise<Collector> {
  collector = await startCollector([...OPTIONS, '--engine', engine, '--out', out])
  flood = new Flood(collector.ports[0]!, 64)
  await atLeast(collector, ({ written }) => written > 10_000)
  return collector
}

async function atLeast(running: Collector, holds: (sink: Report['sinks'][number]) => boolean): Promise<void> {
  await until('the sink has come so far', async () => holds((await running.statistics()).sinks[0]!))
}

/** Threads and the bytes that they have written, the one with most first. */
function writers(pid: number): { thread: string; bytes: number }[] {
  const bytesOf = (thread: string) =>
    readFileSync(`/proc/${pid}/task/${thread}/io`, 'latin1').match(/^wchar: (\d+)$/m)![1]
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => ({ thread, bytes: Number(bytesOf(thread)) }))
    .sort((a, b) => b.bytes - a.bytes)
}

async function ended(running: Collector): Promise<Report> {
  await flood!.stop()
  expect(await running.stop()).toBe(0)
  const report = running.report()
  expectBalance(report)
  expect(report.received + report.kernelDropped).toBe(flood!.sent)
  return report
}

function expectAll(report: Report, numbers: readonly number[]): void {
  expect(report).toMatchObject({
    received: flood!.sent,
    kernelDropped: 0,
    sinks: [{ written: flood!.sent, dropped: {} }],
  })
  expect(numbers).toHaveLength(flood!.sent)
  expect(firstGap(numbers)).toBe(-1)
}

/** Files in the order in which they were made: a.pcap, a-1.pcap, a-2.pcap, ... */
function numbersInOrder(): number[] {
  const number = (name: string) => Number(/-(\d+)\.pcap$/.exec(name)?.[1] ?? 0)
  const names = readdirSync(folder).sort((a, b) => number(a) - number(b))
  return names.flatMap((name) => numbersRead(join(folder, name)))
}

describe.each(['ring', 'udp'])('by %s', (itsEngine) => {
  beforeEach(() => {
    engine = itsEngine
  })

  it('one thread alone writes the file', async () => {
    const running = await start(`pcap:${folder}/a.pcap`)
    await atLeast(running, ({ written }) => written > 50_000)
    const [most, next] = writers(running.pid)
    // The pipeline's; that of the sink began the file.
    expect(most!.bytes).toBeGreaterThan(50_000 * 34 * 0.9)
    expect(next!.bytes).toBeLessThan(most!.bytes / 10)
    expectAll(await ended(running), numbersInOrder())
  })

  it('files of a size: none is larger, and every frame is in one, in order', async () => {
    const running = await start(`pcap:${folder}/a.pcap?rotate=1MiB`)
    await atLeast(running, ({ written }) => written > 150_000)
    const report = await ended(running)
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size)
    expect(sizes.length).toBeGreaterThan(3)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1 << 20)
    expectAll(report, numbersInOrder())
  })

  it('files of a second: each has frames of that second alone', async () => {
    const running = await start(`pcap:${folder}/%s.pcap?rotate=1s`)
    await setTimeout(2500)
    const report = await ended(running)
    const names = readdirSync(folder).sort()
    expect(names.length).toBeGreaterThan(2)
    for (const name of names) {
      const seconds = execFileSync('sh', [
        '-c',
        `tcpdump -nn -tt -r "$1" 2>/dev/null | sed -n 's/^\\([0-9]*\\)[.].*/\\1/p' | sort -u`,
        'sh',
        join(folder, name),
      ])
      expect(`${seconds}`).toBe(`${name.replace('.pcap', '')}\n`)
    }
    expectAll(
      report,
      names.flatMap((name) => numbersRead(join(folder, name))),
    )
  })

  it('SIGHUP ten times a second: every frame is in one file, in order', async () => {
    const running = await start(`pcap:${folder}/a.pcap`)
    for (let signals = 0; signals < 30; signals++) {
      running.kill('SIGHUP')
      await setTimeout(100)
    }
    const report = await ended(running)
    expect(readdirSync(folder).length).toBeGreaterThan(5)
    expectAll(report, numbersInOrder())
  })

  it('a disk that is full is said once and counted, and writing goes on when there is room, behind a whole record', async () => {
    const disk = new SmallDisk(join(folder, 'disk'), 8)
    undo.push(() => disk.dispose())
    const file = join(disk.path, 'a.pcap')
    const running = await start(`pcap:${file}`)
    disk.fill()
    await atLeast(running, ({ dropped }) => (dropped['sink-error'] ?? 0) > 5000)
    const { written } = (await running.statistics()).sinks[0]!
    disk.free()
    await atLeast(running, (sink) => sink.written > written + 5000)
    const report = await ended(running)
    expect(Object.keys(report.sinks[0]!.dropped)).toEqual(['sink-error'])
    const numbers = numbersRead(file)
    expect(numbers).toHaveLength(report.sinks[0]!.written)
    expect(numbers.every((number, i) => i === 0 || number > numbers[i - 1]!)).toBe(true)
    const problems = running.log.filter(({ level }) => level !== 'info')
    expect(problems.filter(({ msg }) => String(msg).includes('ENOSPC'))).toHaveLength(1)
  })

  requires(...NEEDS, 'strace')('a write that fails once costs no frame', async () => {
    const running = await start(`pcap:${folder}/a.pcap`)
    const trace = join(tmpdir(), `lent-file-trace-${running.pid}`)
    undo.push(() => rmSync(trace, { force: true }))
    const fault = ['-e', 'trace=write', '-e', 'inject=write:error=EIO:when=1']
    const strace = spawn('strace', ['-q', '-o', trace, ...fault, '-p', writers(running.pid)[0]!.thread], {
      stdio: 'ignore',
    })
    const closed = once(strace, 'close')
    await until('a write has failed', () => {
      try {
        return readFileSync(trace, 'utf8').includes('EIO')
      } catch {
        return false
      }
    })
    strace.kill('SIGINT')
    await closed
    const { written } = (await running.statistics()).sinks[0]!
    await atLeast(running, (sink) => sink.written > written + 10_000)
    expectAll(await ended(running), numbersInOrder())
  })

  requires(
    ...NEEDS,
    'losetup',
    'fsfreeze',
    'mkfs.ext4',
  )(
    'a disk that stands still for three seconds: what there was no room for is counted, and writing goes on',
    async () => {
      const disk = join(folder, 'disk')
      mkdirSync(disk)
      const image = join(folder, 'image')
      execFileSync('truncate', ['-s', '256M', image])
      execFileSync('mkfs.ext4', ['-q', image], { stdio: 'ignore' })
      execFileSync('mount', ['-o', 'loop', image, disk])
      undo.push(() => execFileSync('umount', ['--lazy', disk]))
      const file = join(disk, 'a.pcap')
      const running = await start(`pcap:${file}`)
      execFileSync('fsfreeze', ['--freeze', disk])
      let isFrozen = true
      const thaw = () => {
        if (isFrozen) execFileSync('fsfreeze', ['--unfreeze', disk])
        isFrozen = false
      }
      undo.push(thaw)
      await setTimeout(3000)
      thaw()
      const { written } = (await running.statistics()).sinks[0]!
      await atLeast(running, (sink) => sink.written > written + 50_000)
      const report = await ended(running)
      const numbers = numbersRead(file)
      expect(numbers).toHaveLength(report.sinks[0]!.written)
      expect(numbers.every((number, i) => i === 0 || number > numbers[i - 1]!)).toBe(true)
    },
  )
})
