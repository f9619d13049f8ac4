import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { Collector, expectBalance } from '../support/collector.ts'
import { requires, SHARED_CAPTURES } from '../support/requirements.ts'
import { fieldsOf } from '../support/tshark.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'erspan-time-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const it = requires('build', 'tshark', 'shared-captures')

it("a switch's own ticks of 2.4 ns are not taken for nanoseconds: its frames keep their arrival", async () => {
  const capture = join(SHARED_CAPTURES, 'tcpdump/erspan-type-iii-ft-0.pcap')
  const came = fieldsOf(capture, ['frame.time_epoch', 'erspan.timestamp', 'erspan.gra'])
  expect(came.map(([, , granularity]) => granularity)).toEqual(came.map(() => '3'))
  const [first, second] = came.map(([time, ticks]) => [Number(time), Number(ticks)])
  const nanosecondsOfTick = ((second![0]! - first![0]!) * 1e9) / (second![1]! - first![1]!)
  expect(nanosecondsOfTick).toBeCloseTo(2.4, 2)
  const out = join(folder, 'inner.pcap')
  const collector = new Collector(['decap', capture, '--timestamps', 'source', '--out', `pcap:${out}`])
  try {
    expect(await collector.exit()).toBe(0)
    expectBalance(collector.report())
  } finally {
    await collector.dispose()
  }
  expect(fieldsOf(out, ['frame.time_epoch'])).toEqual(came.map(([time]) => [time]))
})
