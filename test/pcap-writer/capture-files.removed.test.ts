import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { PcapngFormat } from '../../src/pcap-writer/pcapng-format.ts'
import { requires } from '../support/requirements.ts'
import { Bench, sequences } from './records.ts'

const NOON = 1_700_049_600
const REMOVED = 'the file was removed while it was written'

const it = requires('tshark')

it('a file that was removed is left within a second, and the next records go to a new one', () => {
  const bench = new Bench('a.pcap')
  bench.files.open(NOON)
  bench.add([NOON, NOON])
  bench.commit()
  rmSync(bench.path('a.pcap'))
  bench.files.tick(NOON + 1)
  expect(bench.events).toEqual(['opened a.pcap', `trouble ${REMOVED} a.pcap`])
  expect([readdirSync(bench.folder), bench.files.openFiles]).toEqual([[], 0])
  bench.add([NOON + 2])
  bench.commit()
  bench.files.close()
  expect(bench.events.slice(2)).toEqual(['opened a.pcap', 'recovered 0', 'closed a.pcap'])
  expect(sequences(bench.path('a.pcap'))).toEqual([2])
  expect([bench.files.written, bench.files.droppedFrames]).toEqual([3, 0])
})

test('a removed file is looked for once a second, however often tick is called', () => {
  const bench = new Bench('a.pcap')
  bench.files.open(NOON)
  bench.files.tick(NOON)
  rmSync(bench.path('a.pcap'))
  bench.files.tick(NOON)
  expect(bench.events).toEqual(['opened a.pcap'])
  bench.files.tick(NOON + 1)
  expect(bench.events).toEqual(['opened a.pcap', `trouble ${REMOVED} a.pcap`])
})

it('records that wait while their file is removed go to the new one', () => {
  const bench = new Bench('a.pcapng', { format: new PcapngFormat() })
  bench.files.open(NOON)
  bench.add([NOON], 4)
  bench.commit()
  bench.add([NOON, NOON], 4)
  rmSync(bench.path('a.pcapng'))
  bench.files.tick(NOON)
  bench.commit()
  bench.files.close()
  expect(sequences(bench.path('a.pcapng'))).toEqual([1, 2])
  expect([bench.files.written, bench.files.droppedFrames]).toEqual([3, 0])
})

test('a removed folder costs the frames until it is back, and they are counted', () => {
  const bench = new Bench('d/a.pcap', { before: (folder) => mkdirSync(`${folder}/d`) })
  bench.files.open(NOON)
  bench.add([NOON])
  bench.commit()
  rmSync(bench.path('d'), { recursive: true })
  bench.files.tick(NOON)
  for (let i = 0; i < 3; i++) {
    bench.add([NOON])
    bench.commit()
  }
  expect([bench.files.written, bench.files.droppedFrames]).toEqual([1, 3])
  mkdirSync(bench.path('d'))
  bench.add([NOON])
  bench.commit()
  bench.files.close()
  expect(bench.events).toEqual([
    'opened d/a.pcap',
    `trouble ${REMOVED} d/a.pcap`,
    'opened d/a.pcap',
    'recovered 3',
    'closed d/a.pcap',
  ])
  expect(bench.files.written).toBe(2)
})

it('rotation notices a removed file by itself, and does not call it finished', () => {
  const bench = new Bench('%s.pcap', { rotate: { seconds: 60 } })
  bench.files.open(NOON)
  bench.add([NOON])
  bench.commit()
  rmSync(bench.path(`${NOON}.pcap`))
  bench.add([NOON + 60])
  bench.commit()
  bench.files.close()
  const next = `${NOON + 60}.pcap`
  expect(bench.events.slice(1)).toEqual([
    `trouble ${REMOVED} ${NOON}.pcap`,
    `opened ${next}`,
    'recovered 0',
    `closed ${next}`,
  ])
  expect(readdirSync(bench.folder)).toEqual([next])
  expect(sequences(bench.path(next))).toEqual([1])
})

test('the end notices a removed file, and leaves alone what took its name', () => {
  const end = { close: (bench: Bench) => bench.files.close(), discard: (bench: Bench) => bench.files.discard() }
  for (const [name, finish] of Object.entries(end)) {
    const bench = new Bench('a.pcap')
    bench.files.open(NOON)
    rmSync(bench.path('a.pcap'))
    writeFileSync(bench.path('a.pcap'), 'precious')
    finish(bench)
    expect(bench.events, name).toEqual(['opened a.pcap', `trouble ${REMOVED} a.pcap`])
    expect(readFileSync(bench.path('a.pcap'), 'utf8')).toBe('precious')
  }
})

it('a file that keep= of another collector removed is noticed', () => {
  const ours = new Bench('%s.pcap')
  ours.files.open(NOON)
  ours.add([NOON])
  ours.commit()
  const theirs = new Bench(`../${basename(ours.folder)}/%s.pcap`, { keep: { files: 1 } })
  theirs.files.open(NOON + 1)
  ours.files.tick(NOON)
  ours.add([NOON + 2])
  ours.commit()
  expect(ours.events.slice(1)).toEqual([`trouble ${REMOVED} ${NOON}.pcap`, `opened ${NOON + 2}.pcap`, 'recovered 0'])
  expect(sequences(ours.path(`${NOON + 2}.pcap`))).toEqual([1])
  ours.files.close()
  theirs.files.close()
})

test('a file that only lost one of two names goes on', () => {
  const bench = new Bench('a.pcap')
  bench.files.open(NOON)
  linkSync(bench.path('a.pcap'), bench.path('b.pcap'))
  rmSync(bench.path('a.pcap'))
  bench.files.tick(NOON)
  bench.add([NOON])
  bench.commit()
  expect(bench.events).toEqual(['opened a.pcap'])
  expect(statSync(bench.path('b.pcap')).size).toBe(24 + 76)
})
