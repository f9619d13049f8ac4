import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { ByteFeed } from '../../src/pcap-writer/byte-feed.ts'
import { GzipFeed } from '../../src/pcap-writer/byte-feed-gzip.ts'
import { openCapture } from '../../src/pcap-writer/open-capture.ts'
import { memoryFeed } from '../support/read-all.ts'
import { requires } from '../support/requirements.ts'
import { temporaryFolder } from './records.ts'

/** Compresses well, and nowhere alike. */
const TEXT = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `frame ${i} of ${i * 7919}, `).join(''))
const MEMBERS = [TEXT.subarray(0, 200_000), TEXT.subarray(200_000)]
const PACKED = Buffer.concat(MEMBERS.map((member) => gzipSync(member)))
const FIRST_BYTES = gzipSync(MEMBERS[0]!).length

function file(bytes: Uint8Array): ByteFeed {
  const path = join(temporaryFolder(), 'a.gz')
  writeFileSync(path, bytes)
  return openCapture(path)
}

/** What cannot be read a second time. */
function pipe(bytes: Uint8Array): ByteFeed {
  return new GzipFeed(memoryFeed(bytes, 777), new Uint8Array(0))
}

async function all(feed: ByteFeed): Promise<{ bytes: Buffer; problem: string | undefined }> {
  const parts: Buffer[] = []
  for (;;) {
    const part = Buffer.alloc(100_000)
    const length = await feed.read(part)
    if (length === 0) break
    parts.push(part.subarray(0, length))
  }
  feed.close()
  return { bytes: Buffer.concat(parts), problem: feed.problem }
}

function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 0xff
  return copy
}

/** Python's zlib, which hands out what it has in front of an error when it is given single bytes. */
const INFLATE = `
import sys, zlib
d = zlib.decompressobj(31)
for byte in sys.stdin.buffer.read():
    try:
        if d.eof: d = zlib.decompressobj(31)
        sys.stdout.buffer.write(d.decompress(bytes([byte])))
    except zlib.error: break
`

describe.each([
  ['a file', file],
  ['a pipe', pipe],
])('%s', (_, feed) => {
  test.each([
    ['text', Buffer.from('garbage')],
    ['more than a chunk of it', Buffer.alloc(40_000, 'garbage')],
    ['half a magic', Buffer.of(0x1f, 0x8c)],
  ])('with %s behind its end gives all there is, and then the problem', async (_name, garbage) => {
    const { bytes, problem } = await all(feed(Buffer.concat([PACKED, garbage])))
    expect(bytes.equals(TEXT)).toBe(true)
    expect(problem).toBe('gzip: what is behind its end is no gzip')
  })

  test('with zeroes behind its end is whole, as gzip has it', async () => {
    const { bytes, problem } = await all(feed(Buffer.concat([PACKED, Buffer.alloc(512)])))
    expect([bytes.equals(TEXT), problem]).toEqual([true, undefined])
  })

  test.each([
    ['checksum', 8, 'gzip: incorrect data check'],
    ['length', 4, 'gzip: incorrect length check'],
  ])('with a wrong %s gives all in front of it', async (_name, fromEnd, reason) => {
    const last = await all(feed(changed(PACKED, PACKED.length - fromEnd)))
    expect([last.bytes.equals(TEXT), last.problem]).toEqual([true, reason])
    const first = await all(feed(changed(PACKED, FIRST_BYTES - fromEnd)))
    expect([first.bytes.equals(MEMBERS[0]!), first.problem]).toEqual([true, reason])
  })

  requires('python')('damaged anywhere gives what another program takes out of it byte by byte', async () => {
    for (let at = 20; at < PACKED.length; at += Math.floor(PACKED.length / 7)) {
      const damaged = changed(PACKED, at)
      const expected = execFileSync('python3', ['-c', INFLATE], { input: damaged, maxBuffer: 1 << 26 })
      const { bytes, problem } = await all(feed(damaged))
      expect(bytes.equals(expected), `at ${at}: ${bytes.length} of ${expected.length} bytes`).toBe(true)
      expect(problem).toMatch(/^gzip: /)
    }
  })
})

test('of a large one a file gives all, and a pipe all but a chunk', async () => {
  const large = randomBytes(9 << 20)
  const packed = Buffer.concat([gzipSync(large, { level: 0 }), Buffer.from('garbage')])
  const whole = await all(file(packed))
  expect(whole.bytes.equals(large)).toBe(true)
  const most = await all(pipe(packed))
  expect(most.problem).toBe(whole.problem)
  expect(most.bytes.length).toBeGreaterThan(large.length - 16_384)
  expect(most.bytes.equals(large.subarray(0, most.bytes.length))).toBe(true)
})
