import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, startCollector } from '../support/collector.ts'
import { requires } from '../support/requirements.ts'
import { Flood, firstGap, numberedDatagrams, numberOf, send } from '../support/sender.ts'
import { framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

let folder = ''
let disk = ''
let collector: Collector | undefined
let flood: Flood | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'disk-full-'))
  disk = join(folder, 'disk')
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', disk])
  writeFileSync(join(disk, 'ballast'), Buffer.alloc(3 << 20))
})
afterEach(async () => {
  await flood?.stop()
  flood = undefined
  await collector?.dispose()
  execFileSync('umount', [disk])
  rmSync(folder, { recursive: true, force: true })
})

requires('build', 'linux', 'root', 'tshark', 'capinfos').each(['pcap', 'pcapng'])(
  '%s: a full disk is said once and counted, writing goes on when there is room, and the other sink loses nothing',
  async (kind) => {
    const small = join(disk, `small.${kind}`)
    const other = join(folder, 'other.pcap')
    const running = await startCollector([
      ...['--listen', 'vxlan://127.0.0.1:0'],
      ...['--out', `${kind}:${small}`, '--out', `pcap:${other}`],
    ])
    collector = running
    const lost = async () => (await running.statistics()).sinks[0]!.dropped['sink-error'] ?? 0
    flood = new Flood(running.ports[0]!, 64)
    await until('the disk is full', async () => (await lost()) > 5000)
    await flood.stop()
    rmSync(join(disk, 'ballast'))
    const LAST = 0xffff_0000
    await send(numberedDatagrams(3, { first: LAST }), running.ports[0]!)
    await until('it writes again', () => running.stderr.includes('Writing again'))
    expect(await running.stop()).toBe(0)

    const report = running.report()
    expectBalance(report)
    expect(report).toMatchObject({ received: flood.sent + 3, kernelDropped: 0, dropped: {} })
    const [full, roomy] = report.sinks
    expect(Object.keys(full!.dropped)).toEqual(['sink-error'])
    expect(roomy).toMatchObject({ written: flood.sent + 3, dropped: {} })
    expect(output('capinfos', '-cM', other)).toMatch(new RegExp(`packets:\\s+${flood.sent + 3}\\n`))
    const numbers = framesOf(small).map((frame) => numberOf(frame.bytes))
    expect(numbers).toHaveLength(full!.written)
    expect(numbers.slice(-3)).toEqual([LAST, LAST + 1, LAST + 2])
    // One hole: from where the disk was full to where there was room.
    const hole = firstGap(numbers)
    expect(hole).toBeGreaterThan(4000)
    expect(firstGap(numbers.slice(hole, -3), numbers[hole])).toBe(-1)

    const problems = running.log.filter((line) => line.level !== 'info')
    expect(problems).toMatchObject([
      { level: 'error', path: small, msg: expect.stringContaining('ENOSPC') },
      { level: 'warn', msg: `Writing again; ${full!.dropped['sink-error']} frames were lost.` },
    ])
  },
)
