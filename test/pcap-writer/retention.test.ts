import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync, writevSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { FileCalls } from '../../src/pcap-writer/destination.ts'
import type { Keep } from '../../src/pcap-writer/retention.ts'
import { requires } from '../support/requirements.ts'
import { Bench, temporaryFolder } from './records.ts'

const NOON = 1_700_049_600
const HEADER = 24
/** Of a frame of 60 bytes. */
const RECORD = 76

test.each([
  ['by its name', (spare: string) => `${spare}/a-1.pcap`],
  [
    'through a link',
    (spare: string) => {
      symlinkSync(`${spare}/a-1.pcap`, `${spare}/link`)
      return `${spare}/link`
    },
  ],
  [
    'by another name of its own',
    (spare: string) => {
      mkdirSync(`${spare}/elsewhere`)
      linkSync(`${spare}/a-1.pcap`, `${spare}/elsewhere/b`)
      return `${spare}/elsewhere/b`
    },
  ],
])('the file that is read, told %s, is neither removed nor counted', (_, tell) => {
  const folder = temporaryFolder()
  for (const name of ['a-1.pcap', 'a-2.pcap']) writeFileSync(`${folder}/${name}`, 'precious')
  const bench = new Bench(`../${folder.split('/').at(-1)}/a.pcap`, {
    rotate: { bytes: 100 },
    keep: { files: 2 },
    spare: tell(folder),
  })
  bench.files.open(NOON)
  bench.add([NOON, NOON, NOON])
  bench.commit()
  bench.files.close()
  const left = readdirSync(folder).filter((name) => name.endsWith('.pcap'))
  expect(left.sort()).toEqual(['a-1.pcap', 'a-4.pcap', 'a-5.pcap'])
})

test('a file to read that is not there is nothing to spare', () => {
  const bench = new Bench('a.pcap', {
    rotate: { bytes: 100 },
    keep: { files: 1 },
    spare: '/nonexistent/a.pcap',
    before: (folder) => writeFileSync(`${folder}/a.pcap`, ''),
  })
  bench.files.open(NOON)
  expect(bench.events).toEqual(['opened a-1.pcap', 'removed a.pcap'])
})

describe('within one commit', () => {
  /** Opens files that note what is in their folder whenever something is about to be written. */
  function watched(path: string, keep: Keep): { bench: Bench; most: { files: number; bytes: number } } {
    const most = { files: 0, bytes: 0 }
    const look = (): void => {
      const names = readdirSync(bench.folder)
      most.files = Math.max(most.files, names.length)
      most.bytes = Math.max(
        most.bytes,
        names.reduce((sum, name) => sum + statSync(bench.path(name)).size, 0),
      )
    }
    const calls: FileCalls = {
      writev: (fd, parts) => {
        look()
        return writevSync(fd, parts)
      },
    }
    const bench: Bench = new Bench(path, { rotate: { bytes: HEADER + 2 * RECORD }, keep }, calls)
    bench.files.open(NOON)
    return { bench, most }
  }

  test('there are never more files than keep.files', () => {
    const { bench, most } = watched('a.pcap', { files: 3 })
    bench.add(Array(40).fill(NOON))
    bench.commit()
    expect(most.files).toBe(3)
    expect(bench.files.written).toBe(40)
    expect(readdirSync(bench.folder).sort()).toEqual(['a-17.pcap', 'a-18.pcap', 'a-19.pcap'])
  })

  test('nor of one series', () => {
    const { bench, most } = watched('{vni}.pcap', { files: 2 })
    for (let round = 0; round < 5; round++) for (const series of [1, 2, 3]) bench.add(Array(4).fill(NOON), series)
    bench.commit()
    bench.files.close()
    expect(most.files).toBe(6)
    expect(readdirSync(bench.folder).sort()).toEqual([1, 2, 3].flatMap((vni) => [`${vni}-8.pcap`, `${vni}-9.pcap`]))
  })

  test('nor more bytes than keep.bytes, but for those of the open file', () => {
    const file = HEADER + 2 * RECORD
    const { bench, most } = watched('a.pcap', { bytes: 4 * file })
    bench.add(Array(40).fill(NOON))
    bench.commit()
    bench.files.close()
    expect(most.bytes).toBe(4 * file)
    expect(readdirSync(bench.folder)).toHaveLength(4)
  })
})

requires('root')('a disk that has room for what is kept loses nothing, however much comes at once', () => {
  const bench = new Bench('disk/a.pcap', {
    rotate: { bytes: 50_000 },
    keep: { files: 3 },
    before: (folder) => {
      mkdirSync(`${folder}/disk`)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', `${folder}/disk`])
    },
  })
  try {
    bench.files.open(NOON)
    bench.add(Array(20_000).fill(NOON))
    bench.commit()
    expect([bench.files.written, bench.files.droppedFrames]).toEqual([20_000, 0])
    bench.files.close()
  } finally {
    execFileSync('umount', [bench.path('disk')])
  }
})
