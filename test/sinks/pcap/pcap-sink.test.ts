import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { afterEach, expect } from 'vitest'
import { EXIT_CANNOT_CREATE } from '../../../src/config/terms/failure.ts'
import { requires } from '../../support/requirements.ts'
import { fieldsOf, framesOf } from '../../support/tshark.ts'
import { frameText, OpenedSink } from '../contract.ts'

const it = requires('build', 'tshark')
let sink: OpenedSink | undefined
afterEach(() => sink?.dispose())

const FOLDER = '/var/lib/mirror'

it.each(['pcap', 'pcapng'])('%s: tshark reads times, lengths and bytes as they were', async (type) => {
  sink = await OpenedSink.create(`${type}:${FOLDER}/out`)
  sink.write(3, 60)
  await sink.close()
  expect(framesOf(`${sink.folder}/out`)).toEqual(
    [0, 1, 2].map((number) => ({
      seconds: 1_700_000_000,
      nanoseconds: number,
      captured: 60,
      wireLength: 65,
      bytes: frameText(number, 60),
    })),
  )
  expect(sink.counters.bytes).toBe(statSync(`${sink.folder}/out`).size)
})

it('precision=us cuts the time to microseconds', async () => {
  sink = await OpenedSink.create(`pcap:${FOLDER}/out?precision=us`)
  sink.batch.nanoseconds.fill(0)
  sink.write(1, 60, 1999)
  await sink.close()
  expect(framesOf(`${sink.folder}/out`).map(({ nanoseconds }) => nanoseconds)).toEqual([1000])
  expect(readFileSync(`${sink.folder}/out`).readUInt32LE(0)).toBe(0xa1b2c3d4)
})

it('compress=gzip makes a file that gzip reads', async () => {
  sink = await OpenedSink.create(`pcap:${FOLDER}/out.pcap?compress=gzip`)
  sink.write(2, 60)
  await sink.close()
  expect(gunzipSync(readFileSync(`${sink.folder}/out.pcap.gz`)).length).toBe(24 + 2 * 76)
})

it("{encap} and {vni} are the frame's tunnel, in a pcapng interface too", async () => {
  sink = await OpenedSink.create(`pcapng:${FOLDER}/{encap}-{vni}.pcapng`)
  sink.write(2, 60)
  await sink.close()
  const file = `${sink.folder}/vxlan-100.pcapng`
  expect(fieldsOf(file, ['frame.interface_name'])).toEqual([['vxlan-100'], ['vxlan-100']])
})

it('a folder that is not there ends the program before the first frame, in words for its user', async () => {
  const failure = await OpenedSink.create('pcap:/nowhere/at/all/out.pcap').catch((error: unknown) => error)
  expect(failure).toMatchObject({ name: 'Failure', exitCode: EXIT_CANNOT_CREATE })
  expect((failure as Error).message).toMatch(/^[^\n]*\/nowhere\/at\/all[^\n]*$/)
  expect((failure as { mend: string }).mend).toMatch(/^[^\n]+$/)
})

it('a file that is there is not overwritten', async () => {
  sink = await OpenedSink.create(`pcap:${FOLDER}/out.pcap`)
  sink.write(1, 60)
  await sink.close()
  const before = readFileSync(`${sink.folder}/out.pcap`)
  const again = await OpenedSink.create(`pcap:${sink.folder}/out.pcap`).catch((error: unknown) => error)
  if (again instanceof OpenedSink) {
    again.write(5, 60)
    await again.close()
    again.dispose()
  }
  expect(existsSync(`${sink.folder}/out.pcap`)).toBe(true)
  expect(readFileSync(`${sink.folder}/out.pcap`)).toEqual(before)
})

requires('build', 'mkfifo')(
  'what is still in the queue when the pipeline ends goes out before close resolves',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fifo-'))
    const fifo = join(folder, 'out')
    execFileSync('mkfifo', [fifo])
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      sink = await OpenedSink.create(`pcap:${fifo}`)
      // Nobody reads yet: all but what fits into the pipe stays in the queue.
      for (let batch = 0; batch < 100; batch++) sink.write(64, 1500)
      expect(sink.counters.written).toBeLessThan(100)
      let isClosed = false
      const closed = sink.close().then(() => {
        isClosed = true
      })
      let bytes = 0
      while (!isClosed) {
        bytes += readWhatIsThere(reader)
        await setImmediate()
      }
      await closed
      bytes += readWhatIsThere(reader)
      // 24 bytes of file header; 16 in front of each packet.
      expect(bytes).toBe(24 + 6400 * (16 + 1500))
      expect([sink.counters.written, sink.counters.dropped()]).toEqual([6400, {}])
    } finally {
      closeSync(reader)
      rmSync(folder, { recursive: true, force: true })
    }
  },
)

/** Bytes read from a pipe until it is empty or has ended. */
function readWhatIsThere(reader: number): number {
  const chunk = new Uint8Array(1 << 20)
  let bytes = 0
  for (;;) {
    try {
      const count = readSync(reader, chunk)
      if (count === 0) return bytes
      bytes += count
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      return bytes
    }
  }
}
