import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { CannotCreateError } from '../../src/pcap-writer/errors.ts'
import { PcapngFormat } from '../../src/pcap-writer/pcapng-format.ts'
import { requires } from '../support/requirements.ts'
import { Bench, range, sequences, tcpdump, tshark } from './records.ts'

const NOON = 1_700_049_600 // a multiple of 3600 in every zone with whole hours

const it = requires('tshark')

describe('a single file', () => {
  test('is there with its header before the first frame', () => {
    const bench = new Bench('a.pcap')
    bench.files.open(NOON)
    expect(readFileSync(bench.path('a.pcap')).toString('hex')).toBe(
      '4d3cb2a1020004000000000000000000' + '0000040001000000',
    )
    expect(bench.events).toEqual(['opened a.pcap'])
  })

  it('has every frame after the commit, and the counts agree with its size', () => {
    const bench = new Bench('a.pcap')
    bench.files.open(NOON)
    bench.add([NOON, NOON, NOON + 1])
    bench.add([NOON])
    bench.commit()
    expect(sequences(bench.path('a.pcap'))).toEqual([0, 1, 2, 3])
    expect([bench.files.written, bench.files.droppedFrames]).toEqual([4, 0])
    expect(bench.files.bytes).toBe(statSync(bench.path('a.pcap')).size)
    bench.files.close()
    bench.files.close()
    expect(bench.events).toEqual(['opened a.pcap', 'closed a.pcap'])
  })

  test('borrows memory until the commit only', () => {
    const bench = new Bench('a.pcap')
    bench.files.open(NOON)
    bench.add([NOON])
    bench.commit()
    const before = readFileSync(bench.path('a.pcap'))
    bench.add([NOON])
    bench.commit()
    expect(readFileSync(bench.path('a.pcap')).subarray(0, before.length).equals(before)).toBe(true)
  })
})

describe('a file that is there already', () => {
  const others = (folder: string): void => writeFileSync(`${folder}/a.pcap`, 'precious')

  test('is refused where the path has no fields', () => {
    const bench = new Bench('a.pcap', { before: others })
    expect(() => bench.files.open(NOON)).toThrow(CannotCreateError)
    expect(() => new Bench('a.pcap', { before: others }).files.open(NOON)).toThrow(/never overwritten.*\nRemove it/)
    expect(readFileSync(bench.path('a.pcap'), 'utf8')).toBe('precious')
  })

  test.each([
    ['leads to a file', 'target'],
    ['leads nowhere', 'missing'],
  ])('is refused as a symbolic link that %s', (_, target) => {
    const bench = new Bench('a.pcap', {
      before: (folder) => {
        writeFileSync(`${folder}/target`, 'precious')
        symlinkSync(target, `${folder}/a.pcap`)
      },
    })
    expect(() => bench.files.open(NOON)).toThrow(CannotCreateError)
    expect(readFileSync(bench.path('target'), 'utf8')).toBe('precious')
    expect(existsSync(bench.path('missing'))).toBe(false)
  })

  test('keeps its name, and the new one gets a number, where the path has fields or rotates', () => {
    const fields = new Bench('%Y.pcap', { before: (folder) => writeFileSync(`${folder}/2023.pcap`, 'precious') })
    fields.files.open(NOON)
    expect(fields.events).toEqual(['opened 2023-1.pcap'])
    const rotates = new Bench('a.pcap', { rotate: { bytes: 100 }, before: others })
    rotates.files.open(NOON)
    expect(rotates.events).toEqual(['opened a-1.pcap'])
    expect(readFileSync(rotates.path('a.pcap'), 'utf8')).toBe('precious')
  })

  test('lets numbers go on where an earlier run stopped, past freed names', () => {
    const bench = new Bench('a.pcap', {
      rotate: { bytes: 100 },
      before: (folder) => writeFileSync(`${folder}/a-57.pcap`, ''),
    })
    bench.files.open(NOON)
    expect(bench.events).toEqual(['opened a-58.pcap'])
  })

  test('with a number that no run reaches is not an earlier file of ours', () => {
    const bench = new Bench('a.pcap', {
      rotate: { bytes: 100 },
      keep: { files: 1 },
      before: (folder) => {
        for (const name of ['a.pcap', 'a-99999999999999999999.pcap']) writeFileSync(`${folder}/${name}`, 'precious')
      },
    })
    bench.files.open(NOON)
    expect(bench.events).toEqual(['opened a-1.pcap', 'removed a.pcap'])
    expect(readFileSync(bench.path('a-99999999999999999999.pcap'), 'utf8')).toBe('precious')
  })
})

test.each([
  ['missing/a.pcap', /folder .*missing does not exist.\nCreate it: mkdir -p/],
  ['missing/{vni}.pcap', /folder .*missing does not exist.\nCreate it: mkdir -p/],
  ['a-file/a.pcap', /a-file is no folder.\nChoose a path below one/],
  [`${'n'.repeat(256)}.pcap`, /its name is too long.\nChoose a shorter one/],
])('open refuses %s and says how to mend it', (path, message) => {
  const bench = new Bench(path, { before: (folder) => writeFileSync(`${folder}/a-file`, '') })
  expect(() => bench.files.open(NOON)).toThrow(CannotCreateError)
  expect(() => new Bench(path, { before: (folder) => writeFileSync(`${folder}/a-file`, '') }).files.open(NOON)).toThrow(
    message,
  )
})

test('folders with fields in their names are made', () => {
  const bench = new Bench('{encap}/%Y/{vni}.pcap')
  bench.files.open(NOON)
  bench.add([NOON], 7)
  bench.commit()
  expect(bench.events).toEqual(['opened vxlan/2023/7.pcap'])
})

describe('rotation by size', () => {
  // 24 bytes of header and 76 for each record.
  it.each([[24 + 3 * 76], [24 + 4 * 76 - 1]])('to %d bytes puts three frames into each file', (bytes) => {
    const bench = new Bench('a.pcap', { rotate: { bytes } })
    bench.files.open(NOON)
    bench.add(Array(5).fill(NOON))
    bench.add(Array(2).fill(NOON))
    bench.commit()
    bench.files.close()
    expect(sequences(bench.path('a.pcap'))).toEqual([0, 1, 2])
    expect(sequences(bench.path('a-1.pcap'))).toEqual([3, 4, 5])
    expect(sequences(bench.path('a-2.pcap'))).toEqual([6])
    expect(statSync(bench.path('a.pcap')).size).toBeLessThanOrEqual(bytes)
  })

  it('gives a record that is longer than the limit a file of its own', () => {
    const bench = new Bench('a.pcap', { rotate: { bytes: 200 } })
    bench.files.open(NOON)
    bench.add([NOON])
    bench.add([NOON], 0, 1000)
    bench.add([NOON])
    bench.commit()
    bench.files.close()
    expect(['a.pcap', 'a-1.pcap', 'a-2.pcap'].map((name) => sequences(bench.path(name)))).toEqual([[0], [1], [2]])
  })

  it('counts the blocks at the end of a pcapng file too', () => {
    const bench = new Bench('a.pcapng', { rotate: { bytes: 1000 }, format: new PcapngFormat() })
    bench.files.open(NOON)
    for (const series of [3, 1, 2, 1, 3, 3, 2, 1]) bench.add(Array(5).fill(NOON), series)
    bench.commit()
    bench.files.close()
    const names = readdirSync(bench.folder)
    expect(names.length).toBeGreaterThan(4)
    for (const name of names) expect(statSync(bench.path(name)).size).toBeLessThanOrEqual(1000)
    expect(names.flatMap((name) => sequences(bench.path(name))).sort((a, b) => a - b)).toEqual(range(0, 40))
  })
})

describe('rotation on the clock', () => {
  it('changes files with the first frame at the boundary; late frames stay', () => {
    const bench = new Bench('%s.pcap', { rotate: { seconds: 60 } })
    bench.files.open(NOON + 5)
    bench.add([NOON + 6, NOON + 59, NOON + 60, NOON + 59, NOON + 119])
    bench.add([NOON + 240])
    bench.commit()
    bench.files.close()
    expect(readdirSync(bench.folder).sort()).toEqual([NOON, NOON + 60, NOON + 240].map((s) => `${s}.pcap`))
    expect(sequences(bench.path(`${NOON}.pcap`))).toEqual([0, 1])
    expect(sequences(bench.path(`${NOON + 60}.pcap`))).toEqual([2, 3, 4])
    expect(sequences(bench.path(`${NOON + 240}.pcap`))).toEqual([5])
  })

  it('goes by each frame of its own, whatever the order in a range', () => {
    const bench = new Bench('%s.pcap', { rotate: { seconds: 60 } })
    bench.files.open(NOON)
    bench.add([NOON + 61, NOON + 59, NOON + 121, NOON + 1])
    bench.commit()
    bench.files.close()
    expect([NOON, NOON + 60, NOON + 120].map((s) => sequences(bench.path(`${s}.pcap`)))).toEqual([[], [0, 1], [2, 3]])
  })

  test('finishes a file without traffic at its boundary, and starts none', () => {
    const bench = new Bench('%s.pcap', { rotate: { seconds: 60 } })
    bench.files.open(NOON)
    bench.files.tick(NOON + 59)
    expect(bench.events).toEqual([`opened ${NOON}.pcap`])
    bench.files.tick(NOON + 60)
    expect(bench.events).toEqual([`opened ${NOON}.pcap`, `closed ${NOON}.pcap`])
    bench.files.tick(NOON + 120)
    expect(bench.files.openFiles).toBe(0)
  })

  it('names files after the frames when a capture of the past is read', () => {
    const bench = new Bench('%s.pcap', { rotate: { seconds: 60 } })
    bench.files.open(NOON)
    bench.add([NOON - 86_400, NOON - 86_400 + 60])
    bench.commit()
    bench.files.close()
    expect(readdirSync(bench.folder).sort()).toEqual([`${NOON - 86_400}.pcap`, `${NOON - 86_340}.pcap`])
  })

  it('and by size numbers the files of one interval', () => {
    const bench = new Bench('%s.pcap', { rotate: { seconds: 60, bytes: 200 } })
    bench.files.open(NOON)
    bench.add([NOON, NOON, NOON + 1, NOON + 60])
    bench.commit()
    bench.files.close()
    const names = [`${NOON}.pcap`, `${NOON}-1.pcap`, `${NOON + 60}.pcap`]
    expect(names.map((name) => sequences(bench.path(name)))).toEqual([[0, 1], [2], [3]])
  })
})

describe('many series', () => {
  requires('tshark', 'tcpdump').each([
    ['pcap', undefined],
    ['pcapng', new PcapngFormat()],
  ] as const)(
    'a thousand keep to 16 open files, and every %s file is complete',
    (name, format) => {
      const bench = new Bench(`{vni}.${name}`, { maxOpenFiles: 16, ...(format && { format }) })
      bench.files.open(NOON)
      const added = new Map<number, number[]>()
      let sequence = 0
      for (let round = 0; round < 3; round++) {
        for (let series = 0; series < 1000; series++) {
          bench.add([NOON], series)
          added.set(series, [...(added.get(series) ?? []), sequence++])
          expect(bench.files.openFiles).toBeLessThanOrEqual(16)
        }
        bench.commit()
      }
      bench.files.close()
      expect(bench.events.filter((event) => !/^(opened|closed)/.test(event))).toEqual([])
      expect(bench.events.length).toBe(2000)
      expect(bench.files.written).toBe(3000)
      for (const series of [0, 500, 999]) expect(sequences(bench.path(`${series}.${name}`))).toEqual(added.get(series))
      // tcpdump fails on a file that is cut off.
      for (let series = 0; series < 1000; series += 25)
        expect(tcpdump(bench.path(`${series}.${name}`)).length).toBeGreaterThanOrEqual(3)
    },
    60_000,
  )

  it('a parked file that was moved away is not gone on with: a new one gets its name', () => {
    const bench = new Bench('{vni}.pcap', { maxOpenFiles: 1 })
    bench.files.open(NOON)
    bench.add([NOON], 1)
    bench.add([NOON], 2)
    bench.commit()
    renameSync(bench.path('1.pcap'), bench.path('moved'))
    writeFileSync(bench.path('1.pcap'), 'precious')
    bench.add([NOON], 1)
    bench.commit()
    bench.files.close()
    expect(readFileSync(bench.path('1.pcap'), 'utf8')).toBe('precious')
    expect(sequences(bench.path('1-1.pcap'))).toEqual([2])
    expect(sequences(bench.path('moved'))).toEqual([0])
  })

  it('share a file when the path leaves their field out', () => {
    const bench = new Bench('{encap}.pcapng', { format: new PcapngFormat() })
    bench.files.open(NOON)
    bench.add([NOON, NOON], 40)
    bench.add([NOON], 7)
    bench.add([NOON], 40)
    bench.commit()
    bench.files.close()
    const told = tshark(
      bench.path('vxlan.pcapng'),
      'frame.interface_id',
      'frame.interface_name',
      'frame.interface_description',
    )
    const [first, second] = ['0\tvxlan-40\tvxlan tunnel 40', '1\tvxlan-7\tvxlan tunnel 7']
    expect(told).toEqual([first, first, second, first])
  })
})

describe('pcapng statistics', () => {
  requires('tshark', 'capinfos')('every file ends with one block for each of its interfaces', () => {
    const statistics = (series: number) => ({
      received: series + 100,
      dropped: series + 200,
      kernelDropped: series + 300,
    })
    const bench = new Bench('a.pcapng', { format: new PcapngFormat(), statistics })
    bench.files.open(NOON)
    bench.add([NOON, NOON + 9], 5)
    bench.add([NOON + 3], 6)
    bench.commit()
    bench.files.close()
    const told = execFileSync('capinfos', [bench.path('a.pcapng')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    expect(told.match(/Number of stat entries = 1/g)).toHaveLength(2)
    expect(told.match(/Number of packets = \d/g)).toEqual(['Number of packets = 2', 'Number of packets = 1'])
  })

  test('without the owner they tell what the file knows', () => {
    const bench = new Bench('a.pcapng', { format: new PcapngFormat() })
    bench.files.open(NOON)
    bench.add([1, 2], 5)
    bench.commit()
    bench.files.close()
    const end = readFileSync(bench.path('a.pcapng')).subarray(-88)
    // Time of the first frame: 1 000 000 000 ns = 0x3b9aca00; of the second: 2 000 000 000 + 7919 ns = 0x773594 00 + 0x1eef.
    const start = '00000000' + '00ca9a3b'
    const last = '00000000' + 'efb23577'
    expect(end.toString('hex')).toBe(
      `0500000058000000${'00000000'}${last}02000800${start}03000800${last}` +
        '040008000200000000000000' +
        '050008000000000000000000' +
        '070008000000000000000000' +
        '0000000058000000',
    )
  })
})

describe('gzip', () => {
  it('is added to the name and read by gzip, tshark and zlib', () => {
    const bench = new Bench('a.pcap', { compress: 'gzip' })
    bench.files.open(NOON)
    for (let i = 0; i < 3; i++) {
      bench.add([NOON, NOON])
      bench.commit()
    }
    const path = bench.path('a.pcap.gz')
    // Not closed yet: whole members make it readable at any time.
    expect(sequences(path)).toEqual(range(0, 6))
    expect(execFileSync('gzip', ['-dc', path]).length).toBe(24 + 6 * 76)
    expect(gunzipSync(readFileSync(path)).length).toBe(24 + 6 * 76)
    expect(bench.files.bytes).toBe(statSync(path).size)
    bench.files.close()
  })

  it('rotates by the size before compression', () => {
    const bench = new Bench('a.pcap', { compress: 'gzip', rotate: { bytes: 24 + 2 * 76 } })
    bench.files.open(NOON)
    bench.add([NOON, NOON, NOON])
    bench.commit()
    bench.files.close()
    expect(sequences(bench.path('a.pcap.gz'))).toEqual([0, 1])
    expect(sequences(bench.path('a-1.pcap.gz'))).toEqual([2])
  })
})

describe('reopen', () => {
  it('after the file was renamed starts one of the same name', () => {
    const bench = new Bench('a.pcap')
    bench.files.open(NOON)
    bench.add([NOON])
    bench.commit()
    renameSync(bench.path('a.pcap'), bench.path('a.pcap.1'))
    bench.files.reopen()
    bench.add([NOON])
    bench.commit()
    bench.files.close()
    expect(sequences(bench.path('a.pcap.1'))).toEqual([0])
    expect(sequences(bench.path('a.pcap'))).toEqual([1])
  })
})

describe('retention', () => {
  const files = (bench: Bench): string[] => readdirSync(bench.folder).sort()

  test('keeps the newest files, the open one and those of an earlier run counted', () => {
    const bench = new Bench('%s.pcap', {
      rotate: { seconds: 60 },
      keep: { files: 3 },
      before: (folder) => {
        for (const name of ['1.pcap', '2.pcap', '3.pcap', 'notes.txt', '4.pcapng'])
          writeFileSync(`${folder}/${name}`, '')
        mkdirSync(`${folder}/5.pcap`)
      },
    })
    bench.files.open(NOON)
    expect(bench.events).toEqual([`opened ${NOON}.pcap`, 'removed 1.pcap'])
    for (let minute = 1; minute < 5; minute++) {
      bench.add([NOON + 60 * minute])
      bench.commit()
    }
    bench.files.close()
    const kept = [NOON + 120, NOON + 180, NOON + 240].map((s) => `${s}.pcap`)
    expect(files(bench)).toEqual([...kept, '4.pcapng', '5.pcap', 'notes.txt'].sort())
  })

  test('counts files for each series', () => {
    const bench = new Bench('{vni}.pcap', { rotate: { bytes: 100 }, keep: { files: 2 } })
    bench.files.open(NOON)
    bench.add([NOON, NOON, NOON, NOON], 1)
    bench.add([NOON], 2)
    bench.commit()
    expect(files(bench)).toEqual(['1-2.pcap', '1-3.pcap', '2.pcap'])
  })

  test('keeps to the bytes of all series together, and never removes an open file', () => {
    const bench = new Bench('{vni}.pcap', { rotate: { bytes: 100 }, keep: { bytes: 350 } })
    bench.files.open(NOON)
    bench.add([NOON], 9)
    bench.commit()
    bench.add([NOON, NOON, NOON], 1)
    bench.commit()
    bench.add([NOON], 1)
    bench.commit()
    expect(files(bench)).toEqual(['1-2.pcap', '1-3.pcap', '9.pcap'])
    const tight = new Bench('{vni}.pcap', { rotate: { bytes: 100 }, keep: { bytes: 1 } })
    tight.files.open(NOON)
    tight.add([NOON, NOON], 1)
    tight.commit()
    expect(files(tight)).toEqual(['1-1.pcap'])
  })

  test.each([{ files: 0 }, { bytes: 0.5 }])('%j is refused', (keep) => {
    expect(() => new Bench('%s.pcap', { keep }).files.open(NOON)).toThrow(RangeError)
  })
})
