import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GOLDEN } from '../support/oracle.ts'
import { memoryFeed, readAll } from '../support/read-all.ts'

// readAll throws for a packet outside the window and for a byte written outside it.

const PCAP = readFileSync(`${GOLDEN}kernel-ipv4.pcap`)
/** Section header, one interface with nanoseconds, two packets of 4 and 6 bytes, statistics; by hand. */
const PCAPNG = Buffer.from(
  [
    '0a0d0d0a 1c000000 4d3c2b1a 01000000 ffffffffffffffff 1c000000',
    '01000000 20000000 01000000 00000400 09000100 09000000 00000000 20000000',
    '06000000 24000000 00000000 18ac9717 15cd5b07 04000000 10000000 aabbccdd 24000000',
    '06000000 28000000 00000000 18ac9717 16cd5b07 06000000 06000000 112233445566 0000 28000000',
    '05000000 18000000 00000000 18ac9717 17cd5b07 18000000',
  ]
    .join('')
    .replaceAll(' ', ''),
  'hex',
)

describe('bytes of any kind never throw and never lead outside the window', () => {
  test('the examples are whole', async () => {
    expect(await readAll(memoryFeed(PCAP))).toMatchObject({ frames: { length: 5 }, problem: undefined })
    expect(await readAll(memoryFeed(PCAPNG))).toMatchObject({
      frames: [
        { captured: 4, wireLength: 16, bytes: 'aabbccdd' },
        { captured: 6, wireLength: 6, bytes: '112233445566' },
      ],
      problem: undefined,
    })
  })

  test('random bytes behind every magic', async () => {
    const magics = [
      '',
      'a1b2c3d4',
      'd4c3b2a1',
      '4d3cb2a1',
      '34cdb2a1',
      'd4c3b2a102000400',
      '0a0d0d0a',
      '0a0d0d0a1c0000004d3c2b1a',
    ].map((magic) => Buffer.from(magic, 'hex'))
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...magics),
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 64, max: 400 }),
        fc.integer({ min: 1, max: 64 }),
        async (magic, bytes, windowLength, atOnce) => {
          const { bytesRead } = await readAll(memoryFeed(Buffer.concat([magic, bytes]), atOnce), {
            windowLength,
            maxRows: 3,
          })
          expect(bytesRead).toBeLessThanOrEqual(magic.length + bytes.length)
        },
      ),
      { numRuns: 3_000 },
    )
  })

  test.each([
    ['pcap', PCAP],
    ['pcapng', PCAPNG],
  ])('a %s file with any bytes changed', async (_name, file) => {
    const change = fc.record({
      at: fc.nat(file.length - 1),
      byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat(255)),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 200, max: 2_000 }),
        async (changes, windowLength) => {
          const bytes = Buffer.from(file)
          for (const { at, byte } of changes) bytes[at] = byte
          const { frames, problem, bytesRead } = await readAll(memoryFeed(bytes), { windowLength, maxRows: 3 })
          expect(frames.reduce((sum, frame) => sum + frame.captured, 0)).toBeLessThanOrEqual(bytesRead)
          if (problem !== undefined) expect(problem.offset).toBeLessThanOrEqual(bytes.length)
        },
      ),
      { numRuns: 3_000 },
    )
  })
})
