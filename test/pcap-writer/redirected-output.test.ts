import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writevSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { FileCalls } from '../../src/pcap-writer/destination.ts'
import type { Boundaries } from '../../src/pcap-writer/record-ranges.ts'
import { RedirectedOutput } from '../../src/pcap-writer/redirected-output.ts'
import { requires } from '../support/requirements.ts'
import { tcpdump, temporaryFolder } from './records.ts'

const RECORD = 10

/** Lets `room` bytes through in all, then says that the disk is full. */
class SmallDisk implements FileCalls {
  room = 0

  writev(fd: number, parts: readonly Uint8Array[], position?: number): number {
    const part = Buffer.concat(parts).subarray(0, this.room)
    if (part.length === 0) throw Object.assign(new Error('disk full'), { code: 'ENOSPC' })
    this.room -= part.length
    return writevSync(fd, [part], position)
  }
}

function boundaries(written: number): Boundaries {
  const down = written - (written % RECORD)
  return { down, up: down === written ? down : down + RECORD }
}

/** Three records of one letter, in parts that do not end where the records do. */
function records(letter: string): Uint8Array[] {
  const bytes = Buffer.from(letter.repeat(3 * RECORD))
  return [bytes.subarray(0, 7), bytes.subarray(7, 24), bytes.subarray(24)]
}

const SMALL = 3 * RECORD
/** Rooms of five writes: two that the disk cuts short, one that goes through, and so on. */
const rooms = (first: number, second: number): number[] => [first, second, SMALL, second, SMALL]

describe('standard output that a shell sends into a file', () => {
  const it = requires('linux')

  it.each([
    ['>', 'w', '', ''],
    ['>> behind earlier content', 'a', 'earlier', 'earlier'],
    ['1<> over earlier content', 'r+', '-'.repeat(200), ''],
  ])('%s ends on a whole record wherever the disk is full, and goes on without a hole', (_, flags, content, before) => {
    const path = join(temporaryFolder(), 'out')
    for (let first = 0; first < SMALL; first++) {
      for (let second = 0; second < SMALL; second += 3) {
        writeFileSync(path, content)
        const fd = openSync(path, flags)
        const disk = new SmallDisk()
        const output = new RedirectedOutput(fd, disk)
        let expected = before
        let isCut = flags !== 'r+'
        for (const [index, room] of rooms(first, second).entries()) {
          disk.room = room
          const letter = 'abcde'[index]!
          const { kept, begun, error } = output.write(records(letter), boundaries)
          expect([kept, begun, error === undefined]).toEqual([room - (room % RECORD), 0, room === SMALL])
          expected += letter.repeat(kept)
          isCut ||= room % RECORD > 0
          expect(readFileSync(path, 'latin1').slice(0, isCut ? undefined : expected.length)).toBe(expected)
        }
        // Who shares the descriptor's offset, as a shell's next command does, goes on behind the last record.
        writevSync(fd, [Buffer.from('next')])
        closeSync(fd)
        expect(readFileSync(path, 'latin1').slice(expected.length, expected.length + 4)).toBe('next')
      }
    }
  })

  requires('linux', 'tcpdump')('is a whole capture when the kernel refuses to make it longer', () => {
    const path = join(temporaryFolder(), 'out.pcap')
    const writer = new URL('../../src/pcap-writer/pcap-writer.ts', import.meta.url).pathname
    const script = `import { PcapWriter } from '${writer}'
      const w = new PcapWriter({ path: '-', events: { trouble: (error) => console.error(error.code) } })
      for (let i = 0; i < 100; i++) { w.write(new Uint8Array(60), { seconds: 5, nanoseconds: 6 }); if (i % 7 === 0) w.flush() }
      w.close()
      console.error(w.written, w.written + w.droppedFrames)`
    // The limit is 1024 or 2048 bytes, as the shell counts; Node ignores the signal that comes with it.
    const shell = 'ulimit -f 2 && "$0" --import tsx --input-type=module -e "$1" > "$2"'
    const { stderr } = spawnSync('sh', ['-c', shell, process.execPath, script, path], { encoding: 'utf8' })
    const written = (statSync(path).size - 24) / 76
    expect(stderr).toBe(`EFBIG\n${written} 100\n`)
    expect(written).toBeGreaterThan(10)
    expect(tcpdump(path).filter((line) => line.startsWith('5.'))).toHaveLength(written)
  })
})
