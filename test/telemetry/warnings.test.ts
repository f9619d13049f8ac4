import { expect, test } from 'vitest'
import { TrafficHistory } from '../../src/telemetry/history.ts'
import type { Report } from '../../src/telemetry/report.ts'
import { warningsOf } from '../../src/telemetry/warnings.ts'

function report(changes: Partial<Report>): Report {
  return { received: 0, delivered: 0, dropped: {}, kernelDropped: 0, vnis: {}, sinks: [], ...changes }
}

/** The warnings, `seconds` after the first report. */
function warnings(first: Report, last: Report, seconds: number): string[] {
  const history = new TrafficHistory()
  const sample = (each: Report, clock: number) =>
    history.sample({ report: each, receivedBytes: 0, deliveredBytes: 0, inputBytes: 0, peers: {} }, clock, clock)
  sample(first, 1000)
  sample(last, 1000 + seconds * 1000)
  return warningsOf(last, history)
}

const sink = (dropped: Record<string, number>) => [{ sink: 'pcap:a', written: 0, bytes: 0, dropped }]

test.each<[string, Partial<Report>, Partial<Report>, number, string[]]>([
  ['all is well', { received: 5 }, { received: 900 }, 60, []],
  [
    'the kernel drops',
    { received: 1000, kernelDropped: 500 },
    { received: 10_880, kernelDropped: 620 },
    60,
    ['The kernel dropped 1.2 % in the last minute (120 frames): raise --buffer, or use --engine ring.'],
  ],
  ['the kernel dropped long ago', { received: 1, kernelDropped: 9 }, { received: 2, kernelDropped: 9 }, 60, []],
  [
    'a sink is slow',
    { received: 1, sinks: sink({}) },
    { received: 2, sinks: sink({ 'sink-overflow': 1 }) },
    30,
    ['pcap:a lost 1 frame in the last 30 s: it is slower than the traffic. For bursts raise its queue=.'],
  ],
  [
    'a worker died',
    { received: 1, workerRestarts: 1 },
    { received: 2, workerRestarts: 2 },
    60,
    ['A worker died and was started again in the last minute (1): the log says why.'],
  ],
  [
    'a disk is full',
    { received: 1, sinks: sink({ 'sink-error': 1 }) },
    { received: 2, sinks: sink({ 'sink-error': 2001 }) },
    60,
    ['pcap:a could not write 2,000 frames in the last minute: the log says why.'],
  ],
  [
    'a sender is broken',
    { received: 0 },
    { received: 100, dropped: { 'bad-flags': 2, 'vni-not-allowed': 90 } },
    60,
    ['2.0 % of the packets were refused in the last minute (bad-flags): --quarantine FILE keeps them for a look.'],
  ],
  ['silence, yet short', {}, {}, 10, []],
  ['silence', { received: 5 }, { received: 5 }, 60, ['Nothing arrived in the last minute.']],
  [
    'nobody ever sent',
    {},
    {},
    20,
    ['Nothing has arrived yet: see whether tunnels reach this host, e.g. tcpdump -ni any udp port 4789.'],
  ],
])('%s', (_what, first, last, seconds, expected) => {
  expect(warnings(report(first), report(last), seconds)).toEqual(expected)
})

test('rates are per second, and two minutes of them are kept', () => {
  const history = new TrafficHistory()
  for (let second = 0; second < 300; second++) {
    const totals = report({
      received: second * 20,
      delivered: second * 16,
      dropped: { filtered: second * 3 },
      kernelDropped: second,
      vnis: { 7: second * 16 },
    })
    history.sample(
      { report: totals, receivedBytes: second * 1000, deliveredBytes: second * 500, inputBytes: 0, peers: {} },
      second * 2000,
      second,
    )
  }
  expect(history.rates).toHaveLength(120)
  expect(history.rates.at(-1)).toEqual({
    at: 299,
    received: 10,
    receivedBits: 4000,
    delivered: 8,
    deliveredBits: 2000,
    dropped: 2,
  })
  expect(history.vniRates).toEqual({ 7: 8 })
})
