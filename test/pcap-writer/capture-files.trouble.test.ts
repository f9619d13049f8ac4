import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writevSync,
} from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { FileCalls } from '../../src/pcap-writer/destination.ts'
import { PcapngFormat } from '../../src/pcap-writer/pcapng-format.ts'
import { requires } from '../support/requirements.ts'
import { Bench, range, sequences, tcpdump } from './records.ts'

const NOON = 1_700_049_600
const HEADER = 24
const RECORD = 76

/** Lets `room` bytes through in all, then says that the disk is full. */
class SmallDisk implements FileCalls {
  room: number

  constructor(room: number) {
    this.room = room
  }

  writev(fd: number, parts: readonly Uint8Array[]): number {
    const all = Buffer.concat(parts)
    const part = all.subarray(0, Math.min(all.length, this.room))
    if (part.length === 0) throw Object.assign(new Error('disk full'), { code: 'ENOSPC' })
    this.room -= part.length
    return writevSync(fd, [part])
  }
}

/** Opens a FIFO's other end. */
function openReader(bench: Bench, name = 'pipe'): number {
  return openSync(bench.path(name), constants.O_RDONLY | constants.O_NONBLOCK)
}

/** Lengths of the records of a classic pcap file; fails if the last one is cut off. Written from the format's draft. */
function wholeRecords(file: Buffer): number {
  if (file.length === 0) return 0
  let records = 0
  let at = HEADER
  while (at < file.length) {
    expect(at + 16).toBeLessThanOrEqual(file.length)
    at += 16 + file.readUInt32LE(at + 8)
    records++
  }
  expect(at).toBe(file.length)
  return records
}

describe('a disk that is full after any number of bytes', () => {
  const total = HEADER + 6 * RECORD

  test('leaves whole records in the file, and every frame is written or dropped', () => {
    for (let room = 0; room < total; room++) {
      const disk = new SmallDisk(room)
      const bench = new Bench('%s.pcap', {}, disk)
      bench.files.open(NOON)
      bench.add([NOON, NOON])
      bench.add([NOON, NOON], 1)
      bench.commit()
      bench.add([NOON, NOON])
      bench.commit()
      const { written, droppedFrames } = bench.files
      const file = readFileSync(bench.path(`${NOON}.pcap`))
      expect(wholeRecords(file), `room for ${room}`).toBe(written)
      expect(written + droppedFrames).toBe(6)
      expect(bench.files.bytes).toBe(file.length)
      expect(bench.events).toEqual([`opened ${NOON}.pcap`, `trouble ENOSPC ${NOON}.pcap`])

      disk.room = 10_000
      bench.add([NOON])
      bench.commit()
      expect(bench.events.at(-1)).toBe(`recovered ${droppedFrames}`)
      expect(wholeRecords(readFileSync(bench.path(`${NOON}.pcap`)))).toBe(written + 1)
      bench.files.close()
    }
  })

  requires('tcpdump')('leaves pcapng files that tcpdump reads to their end', () => {
    // Header 52, two interfaces, 6 records of 92: each step lands elsewhere in them.
    for (let room = 52; room < 52 + 6 * 92 + 2 * 64; room += 13) {
      const disk = new SmallDisk(room)
      const bench = new Bench('%s.pcapng', { format: new PcapngFormat() }, disk)
      bench.files.open(NOON)
      bench.add([NOON, NOON, NOON], 3)
      bench.add([NOON, NOON], 4)
      bench.commit()
      disk.room = 10_000
      bench.add([NOON], 4)
      bench.commit()
      bench.files.close()
      const told = tcpdump(bench.path(`${NOON}.pcapng`)).filter((line) => line.includes('ethertype'))
      expect(told.length, `room for ${room}`).toBe(bench.files.written)
      expect(bench.files.written + bench.files.droppedFrames).toBe(6)
    }
  })

  test('leaves whole gzip members', () => {
    for (let room = 0; room < 150; room += 7) {
      const disk = new SmallDisk(room)
      const bench = new Bench('%s.pcap', { compress: 'gzip' }, disk)
      bench.files.open(NOON)
      bench.add([NOON, NOON])
      bench.commit()
      bench.add([NOON])
      bench.commit()
      const input = readFileSync(bench.path(`${NOON}.pcap.gz`))
      // gzip takes no input at all for a cut-off member.
      const file = input.length === 0 ? input : execFileSync('gzip', ['-dc'], { input, stdio: 'pipe' })
      expect(wholeRecords(file), `room for ${room}`).toBe(bench.files.written)
      expect(bench.files.written + bench.files.droppedFrames).toBe(3)
    }
  })
})

test('writes that are short but go on lose nothing', () => {
  for (let size = 1; size < 100; size++) {
    const calls: FileCalls = { writev: (fd, parts) => writevSync(fd, [Buffer.concat(parts).subarray(0, size)]) }
    const bench = new Bench('%s.pcap', {}, calls)
    bench.files.open(NOON)
    bench.add([NOON, NOON, NOON])
    bench.add([NOON], 1)
    bench.commit()
    expect(wholeRecords(readFileSync(bench.path(`${NOON}.pcap`)))).toBe(4)
    expect(bench.events).toEqual([`opened ${NOON}.pcap`])
  }
})

test('a file that never got its header is not left behind', () => {
  const bench = new Bench('%s.pcap', {}, new SmallDisk(10))
  bench.files.open(NOON)
  bench.files.close()
  expect(readdirSync(bench.folder)).toEqual([])
})

requires('root', 'tshark')('a small tmpfs fills up, and writing goes on when there is room again', () => {
  const bench = new Bench('disk/%s.pcap', {
    before: (folder) => {
      execFileSync('mkdir', [`${folder}/disk`])
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'none', `${folder}/disk`])
      execFileSync('dd', ['if=/dev/zero', `of=${folder}/disk/ballast`, 'bs=4k', 'count=16'], { stdio: 'pipe' })
    },
  })
  try {
    bench.files.open(NOON)
    for (let i = 0; i < 10; i++) {
      bench.add(Array(200).fill(NOON))
      bench.commit()
    }
    const { written, droppedFrames } = bench.files
    expect(written + droppedFrames).toBe(2000)
    expect(droppedFrames).toBeGreaterThan(0)
    expect(sequences(bench.path(`disk/${NOON}.pcap`))).toEqual(range(0, written))
    rmSync(bench.path('disk/ballast'))
    bench.add([NOON])
    bench.commit()
    expect(bench.events).toEqual([
      `opened disk/${NOON}.pcap`,
      `trouble ENOSPC disk/${NOON}.pcap`,
      `recovered ${droppedFrames}`,
    ])
    bench.files.close()
    expect(sequences(bench.path(`disk/${NOON}.pcap`))).toEqual([...range(0, written), 2000])
  } finally {
    execFileSync('umount', [bench.path('disk')])
  }
})

test('the next file that cannot be created costs its frames, not the collector', () => {
  const bench = new Bench('d/%s.pcap', {
    rotate: { seconds: 60 },
    before: (folder) => execFileSync('mkdir', [`${folder}/d`]),
  })
  bench.files.open(NOON)
  bench.add([NOON])
  bench.commit()
  renameSync(bench.path('d'), bench.path('moved'))
  bench.add([NOON + 60, NOON + 61])
  bench.commit()
  bench.add([NOON + 62])
  bench.commit()
  expect([bench.files.written, bench.files.droppedFrames]).toEqual([1, 3])
  execFileSync('mkdir', [bench.path('d')])
  bench.add([NOON + 63])
  bench.commit()
  bench.files.close()
  const [next, path] = [`d/${NOON + 60}.pcap`, `d/${NOON}.pcap`]
  expect(bench.events).toEqual([
    `opened ${path}`,
    `closed ${path}`,
    `trouble ENOENT ${next}`,
    `opened ${next}`,
    'recovered 3',
    `closed ${next}`,
  ])
})

describe('a FIFO', () => {
  const withFifo = { before: (folder: string) => execFileSync('mkfifo', [`${folder}/pipe`]) }

  /** All that is in the pipe now. */
  function drain(fd: number): Buffer {
    const parts: Buffer[] = []
    for (;;) {
      const part = Buffer.alloc(1 << 16)
      try {
        const length = readSync(fd, part)
        if (length === 0) break
        parts.push(part.subarray(0, length))
      } catch {
        break
      }
    }
    return Buffer.concat(parts)
  }

  const it = requires('mkfifo')

  it('without a reader drops its frames until one comes, and starts with a header then', () => {
    const bench = new Bench('pipe', withFifo)
    bench.files.open(NOON)
    bench.add([NOON, NOON])
    bench.commit()
    expect([bench.files.written, bench.files.droppedFrames]).toEqual([0, 2])
    const fd = openReader(bench)
    try {
      bench.files.tick(NOON)
      expect(drain(fd).length).toBe(HEADER)
      bench.add([NOON])
      bench.commit()
      expect(drain(fd).length).toBe(RECORD)
      expect(bench.events).toEqual(['trouble it has no reader yet pipe', 'opened pipe', 'recovered 2'])
      bench.files.close()
    } finally {
      closeSync(fd)
    }
  })

  it('whose reader leaves drops frames until the next one comes', () => {
    const bench = new Bench('pipe', withFifo)
    const first = openReader(bench)
    bench.files.open(NOON)
    bench.add([NOON])
    bench.commit()
    closeSync(first)
    bench.add([NOON, NOON])
    bench.commit()
    expect([bench.files.written, bench.files.droppedFrames]).toEqual([1, 2])
    expect(bench.events).toEqual(['opened pipe', 'trouble its reader left pipe'])
    const fd = openReader(bench)
    bench.add([NOON])
    bench.commit()
    expect(wholeRecords(drain(fd))).toBe(1)
    expect(bench.events.slice(2)).toEqual(['opened pipe', 'recovered 2'])
    closeSync(fd)
  })

  it('that is full is waited for, and loses nothing to a slow reader', () => {
    let fd = -1
    const parts: Buffer[] = []
    let waits = 0
    const keepWaiting = (): boolean => {
      // The reader is slow: it takes a few odd bytes each time it is waited for.
      const part = Buffer.alloc(10_007)
      waits++
      parts.push(part.subarray(0, readSync(fd, part)))
      return true
    }
    const bench = new Bench('pipe', { ...withFifo, keepWaiting })
    fd = openReader(bench)
    bench.files.open(NOON)
    bench.add(Array(4000).fill(NOON))
    bench.commit()
    parts.push(drain(fd))
    expect(waits).toBeGreaterThan(10)
    expect(wholeRecords(Buffer.concat(parts))).toBe(4000)
    expect(bench.files.written).toBe(4000)
    bench.files.close()
    closeSync(fd)
  })

  it('whose reader pauses lets itself be stopped, and completes the record it had begun before the next', () => {
    let patience = 3
    const bench = new Bench('pipe', { ...withFifo, keepWaiting: () => patience-- > 0 })
    const fd = openReader(bench)
    bench.files.open(NOON)
    bench.add(Array(2000).fill(NOON))
    bench.commit()
    const { written, droppedFrames } = bench.files
    // One is in the pipe in part: neither written nor dropped yet.
    expect(written + droppedFrames).toBe(1999)
    const begin = drain(fd)
    expect((begin.length - HEADER) % RECORD).not.toBe(0)
    bench.add([NOON, NOON])
    bench.commit()
    const all = Buffer.concat([begin, drain(fd)])
    expect(bench.files.written + bench.files.droppedFrames).toBe(2002)
    expect(wholeRecords(all)).toBe(bench.files.written)
    bench.files.close()
    closeSync(fd)
  })

  it('is not rotated and not removed', () => {
    const bench = new Bench('pipe', { ...withFifo, rotate: { bytes: 100, seconds: 1 }, keep: { files: 1 } })
    const fd = openReader(bench)
    bench.files.open(NOON)
    bench.add([NOON, NOON, NOON + 9])
    bench.commit()
    bench.files.tick(NOON + 100)
    bench.files.reopen()
    expect(bench.events).toEqual(['opened pipe'])
    expect(wholeRecords(drain(fd))).toBe(3)
    bench.files.close()
    closeSync(fd)
    expect(existsSync(bench.path('pipe'))).toBe(true)
  })
})

describe('a name that the collector makes up', () => {
  const planted = `${NOON}.pcap`
  const settings = (plant: string) => ({
    before: (folder: string) => execFileSync('sh', ['-c', plant], { cwd: folder, stdio: 'pipe' }),
  })

  requires('linux', 'mkfifo').each([
    ['a FIFO', `mkfifo ${planted}`],
    ['a link to a device', `ln -s /dev/null ${planted}`],
    ['a link to a FIFO', `mkfifo elsewhere && ln -s elsewhere ${planted}`],
    ['a link that leads nowhere', `ln -s missing ${planted}`],
  ])('is taken where somebody planted %s', (_, plant) => {
    const bench = new Bench('%s.pcap', settings(plant))
    const reader = plant.includes('mkfifo')
      ? openReader(bench, plant.includes('ln') ? 'elsewhere' : planted)
      : undefined
    bench.files.open(NOON)
    bench.add([NOON])
    bench.commit()
    bench.files.close()
    if (reader !== undefined) closeSync(reader)
    expect(bench.events).toEqual([`opened ${NOON}-1.pcap`, `closed ${NOON}-1.pcap`])
    expect(wholeRecords(readFileSync(bench.path(`${NOON}-1.pcap`)))).toBe(1)
    expect(existsSync(bench.path('missing'))).toBe(false)
  })

  requires('linux')('is taken by a planted link after a tunnel number, and after the number of a file', () => {
    const bench = new Bench('{vni}.pcap', {
      rotate: { bytes: HEADER + RECORD },
      ...settings('ln -s /dev/null 7.pcap && ln -s /dev/null 7-2.pcap'),
    })
    bench.files.open(NOON)
    bench.add([NOON, NOON], 7)
    bench.commit()
    bench.files.close()
    expect(bench.events.filter((event) => event.startsWith('opened'))).toEqual(['opened 7-1.pcap', 'opened 7-3.pcap'])
    expect(bench.files.written).toBe(2)
  })
})

requires('linux')('a device is written as it is', () => {
  const bench = new Bench('null', { before: (folder) => execFileSync('ln', ['-s', '/dev/null', `${folder}/null`]) })
  bench.files.open(NOON)
  bench.add([NOON])
  bench.commit()
  bench.files.close()
  expect([bench.files.written, bench.files.bytes]).toEqual([1, HEADER + RECORD])
})

requires('linux')('a device that is full is trouble, told once', () => {
  const bench = new Bench('full', { before: (folder) => execFileSync('ln', ['-s', '/dev/full', `${folder}/full`]) })
  bench.files.open(NOON)
  for (let i = 0; i < 3; i++) {
    bench.add([NOON])
    bench.commit()
  }
  bench.files.close()
  expect(bench.events.filter((event) => event.startsWith('trouble'))).toEqual(['trouble ENOSPC full'])
  expect([bench.files.written, bench.files.droppedFrames]).toEqual([0, 3])
})

requires('root')('retention that cannot remove a file says so once and goes on', () => {
  const bench = new Bench('old/%s.pcap', {
    rotate: { seconds: 60 },
    keep: { files: 1 },
    before: (folder) => {
      execFileSync('mkdir', [`${folder}/old`])
      execFileSync('touch', [`${folder}/old/1.pcap`])
      // A mount point cannot be removed, by anybody.
      execFileSync('mount', ['--bind', `${folder}/old/1.pcap`, `${folder}/old/1.pcap`])
    },
  })
  try {
    bench.files.open(NOON)
    for (let minute = 1; minute < 3; minute++) {
      bench.add([NOON + 60 * minute])
      bench.commit()
    }
    bench.files.close()
    expect(bench.events.filter((event) => event.startsWith('cannotRemove')).length).toBeGreaterThan(0)
    expect(bench.files.written).toBe(2)
  } finally {
    execFileSync('umount', [bench.path('old/1.pcap')])
  }
})
