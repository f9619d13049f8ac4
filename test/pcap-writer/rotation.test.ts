import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { checkedRotation, intervalAt } from '../../src/pcap-writer/rotation.ts'

const ZONE = process.env.TZ

afterEach(() => {
  if (ZONE === undefined) delete process.env.TZ
  else process.env.TZ = ZONE
})

/** Seconds since 1970 of a local time, as date(1) computes them. */
function second(zone: string, local: string): number {
  return Number(execFileSync('date', ['-d', local, '+%s'], { encoding: 'utf8', env: { ...process.env, TZ: zone } }))
}

const BERLIN = 'Europe/Berlin'
const DAY = 86_400
test.each([
  ['a minute', 'UTC', 60, '2024-05-01 12:34:56', '2024-05-01 12:34:00', '2024-05-01 12:35:00'],
  [
    'an hour where the zone has half ones',
    'Asia/Kolkata',
    3600,
    '2024-05-01 12:34:56',
    '2024-05-01 12:00',
    '2024-05-01 13:00',
  ],
  ['a day is a local day', BERLIN, DAY, '2024-05-01 00:30', '2024-05-01 00:00', '2024-05-02 00:00'],
  ['a day west of Greenwich', 'America/New_York', DAY, '2024-05-01 23:59:59', '2024-05-01 00:00', '2024-05-02 00:00'],
  ['the day of 23 hours, before the change', BERLIN, DAY, '2024-03-31 01:00', '2024-03-31 00:00', '2024-04-01 00:00'],
  ['the day of 23 hours, after the change', BERLIN, DAY, '2024-03-31 12:00', '2024-03-31 00:00', '2024-04-01 00:00'],
  ['the day of 25 hours, before the change', BERLIN, DAY, '2024-10-27 01:00', '2024-10-27 00:00', '2024-10-28 00:00'],
  ['the day of 25 hours, after the change', BERLIN, DAY, '2024-10-27 12:00', '2024-10-27 00:00', '2024-10-28 00:00'],
  ['the hour that is left out', BERLIN, 3600, '2024-03-31 01:59:59', '2024-03-31 01:00', '2024-03-31 03:00'],
  [
    'the hour that comes twice, first time',
    BERLIN,
    3600,
    '2024-10-27 02:30 CEST',
    '2024-10-27 02:00 CEST',
    '2024-10-27 02:00 CET',
  ],
  [
    'the hour that comes twice, second time',
    BERLIN,
    3600,
    '2024-10-27 02:30 CET',
    '2024-10-27 02:00 CET',
    '2024-10-27 03:00 CET',
  ],
  ['two hours across the one left out', BERLIN, 7200, '2024-03-31 01:30', '2024-03-31 00:00', '2024-03-31 03:00'],
])('%s (%s, %d s)', (_name, zone, length, at, start, end) => {
  process.env.TZ = zone
  expect(intervalAt(second(zone, at), length)).toEqual({ start: second(zone, start), end: second(zone, end) })
})

test('a boundary belongs to the interval it starts', () => {
  process.env.TZ = 'UTC'
  expect(intervalAt(1200, 60)).toEqual({ start: 1200, end: 1260 })
  expect(intervalAt(1199, 60)).toEqual({ start: 1140, end: 1200 })
})

test('every moment is inside its interval, in every zone and length', () => {
  const zones = fc.constantFrom('UTC', BERLIN, 'America/St_Johns', 'Australia/Lord_Howe', 'Pacific/Apia')
  const lengths = fc.constantFrom(1, 7, 60, 3600, 5400, 7200, DAY, 7 * DAY)
  fc.assert(
    fc.property(zones, lengths, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (zone, length, at) => {
      process.env.TZ = zone
      const { start, end } = intervalAt(at, length)
      expect(start).toBeLessThanOrEqual(at)
      expect(end).toBeGreaterThan(at)
    }),
    { numRuns: 2000 },
  )
})

test.each([{ bytes: 0 }, { bytes: 1.5 }, { seconds: 0 }, { seconds: -1 }, { seconds: Number.NaN }])(
  '%j is refused',
  (rotation) => {
    expect(() => checkedRotation(rotation)).toThrow(RangeError)
  },
)
