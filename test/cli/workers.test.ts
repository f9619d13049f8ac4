import { expect, test } from 'vitest'
import { workersOf } from '../../src/cli/workers.ts'
import { isKafka, networkListeners } from '../../src/config/listen.ts'
import { collectOptions } from '../../src/config/schema.ts'
import type { Engine } from '../../src/sources/source.ts'

function workers(given: Record<string, unknown>, engine: Engine = 'udp'): number {
  const options = collectOptions.parse({ out: ['null'], ...given })
  return workersOf(options, options.listen.some(isKafka) ? 'kafka' : engine, networkListeners(options.listen))
}

test('there is one worker unless more are asked for, whatever else is', () => {
  expect(workers({ dedup: '50ms', listen: ['gre://'] })).toBe(1)
  expect(workers({}, 'dgram')).toBe(1)
  expect(workers({ workers: '4', sample: '1/10' })).toBe(4)
  expect(workers({ workers: '2', listen: ['gre://', ':4789'] })).toBe(2)
})

test.each<[string, Record<string, unknown>, Engine]>([
  ['--workers 2: the dgram engine receives in one place.', {}, 'dgram'],
  ['--workers 2: a topic is read in one place.', { listen: ['kafka:127.0.0.1:9092/t?group=g'] }, 'udp'],
  ['--workers 2: the copies that --dedup looks for come to different workers.', { dedup: '50ms' }, 'udp'],
  ['--workers 2: GRE has no ports to tell flows by', { listen: ['gre://'] }, 'udp'],
])('what workers cannot share is refused in one line: %s', (what, given, engine) => {
  expect(() => workers({ ...given, workers: '2' }, engine)).toThrow(
    expect.objectContaining({
      exitCode: 64,
      message: expect.stringContaining(what),
      mend: expect.stringMatching(/^L/),
    }),
  )
})

test.each(['0', '65', '1.5', 'two'])('%s is no number of workers', (text) => {
  expect(() => workers({ workers: text })).toThrow()
})
