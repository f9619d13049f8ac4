import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { timeScale } from '../../src/pcap-writer/reader-time.ts'
import { packetColumns } from '../support/read-all.ts'

const columns = packetColumns(1)
const BINARY = 0x80

function convert(resolution: number, stamp: bigint, offsetSeconds = 0): [number, number] {
  timeScale(resolution, offsetSeconds).fill(Number(stamp >> 32n), Number(stamp & 0xffff_ffffn), columns, 0)
  return [columns.seconds[0]!, columns.nanoseconds[0]!]
}

/** The definition, in integers of any size. */
function exactly(resolution: number, stamp: bigint, offsetSeconds = 0n): [number, number] {
  const exponent = BigInt(resolution & ~BINARY)
  const units = resolution & BINARY ? 2n ** exponent : 10n ** exponent
  const seconds = stamp / units + offsetSeconds
  const clipped = seconds > 0xffff_ffffn ? 0xffff_ffffn : seconds < 0n ? 0n : seconds
  return [Number(clipped), Number(((stamp % units) * 1_000_000_000n) / units)]
}

const RESOLUTIONS = Array.from({ length: 256 }, (_, resolution) => resolution)

describe('pcapng time stamps become seconds and nanoseconds exactly', () => {
  test.each([
    ['microseconds', 6, 1_700_000_000_123_456n, [1_700_000_000, 123_456_000]],
    ['nanoseconds', 9, 1_700_000_000_123_456_789n, [1_700_000_000, 123_456_789]],
    ['nanoseconds, one before the next second', 9, 4_294_967_295_999_999_999n, [4_294_967_295, 999_999_999]],
    ['picoseconds, rounded down', 12, 1_700_000_000_123_999n, [1700, 123]],
    ['seconds', 0, 1_700_000_000n, [1_700_000_000, 0]],
    ['halves of a second', BINARY | 1, 3n, [1, 500_000_000]],
    ['NTP: 2^-32 seconds', BINARY | 32, (5n << 32n) | 0x8000_0000n, [5, 500_000_000]],
    ['past 2106', 9, 2n ** 64n - 1n, [0xffff_ffff, 709_551_615]],
  ])('%s', (_name, resolution, stamp, expected) => {
    expect(convert(resolution, stamp)).toEqual(expected)
  })

  test('at every resolution, at the edges of every power of two and ten', () => {
    const powers = Array.from({ length: 64 }, (_, n) => 2n ** BigInt(n)).concat(
      Array.from({ length: 20 }, (_, n) => 10n ** BigInt(n)),
    )
    const stamps = powers.flatMap((power) => [power - 1n, power, power + 1n, 2n ** 64n - power])
    for (const resolution of RESOLUTIONS) {
      for (const stamp of stamps) {
        expect([resolution, stamp, convert(resolution, stamp)]).toEqual([resolution, stamp, exactly(resolution, stamp)])
      }
    }
  })

  test('at any resolution, for any stamp', () => {
    const resolutions = fc.oneof(fc.constantFrom(6, 9), fc.nat(255))
    fc.assert(
      fc.property(resolutions, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (resolution, stamp) => {
        expect(convert(resolution, stamp)).toEqual(exactly(resolution, stamp))
      }),
      { numRuns: 20_000 },
    )
  })

  test("for any stamp of this century, with the interface's offset", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(6, 9),
        fc.bigInt({ min: 0n, max: 4_200_000_000n }),
        fc.nat(999_999),
        fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }),
        (resolution, seconds, fraction, offset) => {
          const stamp = seconds * 10n ** BigInt(resolution) + BigInt(fraction)
          expect(convert(resolution, stamp, offset)).toEqual(exactly(resolution, stamp, BigInt(offset)))
        },
      ),
      { numRuns: 5_000 },
    )
  })
})
