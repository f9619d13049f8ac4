import { expect, test } from 'vitest'
import { TunnelCounts } from '../../src/frames/tunnel-counts.ts'
import { PipelineCounters, SinkCounters } from '../../src/telemetry/counters.ts'
import { buildReport, closingLines, type Report } from '../../src/telemetry/report.ts'
import { BAD_FLAGS, VNI_NOT_ALLOWED } from '../../src/wire/verdict.ts'

test('the report has the fields that scripts rely on', () => {
  const counters = new PipelineCounters()
  counters.addReceived(10)
  counters.addVerdict(BAD_FLAGS, 2)
  counters.addDelivered(8)
  counters.kernelDropped = 4
  const tunnels = new TunnelCounts(new SharedArrayBuffer(TunnelCounts.bytesFor(2)), 2)
  tunnels.add(Uint32Array.of(7, 7, 7, 3, 9, 9, 3, 9), 8)
  const sink = new SinkCounters()
  sink.addOffered(8)
  sink.addNotSelected(3)
  sink.setSent(5, 512, 0)
  const report = buildReport({
    counters,
    vnis: tunnels.toObject(),
    sinks: [{ name: 'pcap:a?vni=7', counters: sink }],
  })
  expect(JSON.parse(JSON.stringify(report))).toEqual({
    received: 10,
    delivered: 8,
    dropped: { 'bad-flags': 2 },
    kernelDropped: 4,
    vnis: { 3: 2, 7: 3, other: 3 },
    sinks: [{ sink: 'pcap:a?vni=7', written: 5, bytes: 512, dropped: { 'not-selected': 3 } }],
  })
})

test('an empty report has every field', () => {
  expect(buildReport({ counters: new PipelineCounters(), vnis: {}, sinks: [] })).toEqual({
    received: 0,
    delivered: 0,
    dropped: {},
    kernelDropped: 0,
    vnis: {},
    sinks: [],
  })
})

const quiet: Report = {
  received: 5,
  delivered: 5,
  dropped: {},
  kernelDropped: 0,
  vnis: { 1: 5 },
  sinks: [{ sink: 'null', written: 5, bytes: 300, dropped: {} }],
}

// tcpdump(1) closes with "packets captured", "packets received by filter", "packets dropped by kernel".
test('the closing lines say what was captured, received and dropped, and what each sink did', () => {
  expect(closingLines(quiet)).toBe(
    '5 frames captured\n5 packets received\n0 packets dropped by kernel\nnull: 5 frames written\n',
  )
})

test('frames that left in segments are frames written, and said beside them', () => {
  const sink = new SinkCounters()
  sink.addOffered(5)
  sink.setSent(5, 9000, 0)
  sink.setSegmented(2, 6)
  const sinks = [{ name: 'tap:ids0', counters: sink }]
  const report = buildReport({ counters: new PipelineCounters(), vnis: {}, sinks })
  expect(report.sinks).toEqual([{ sink: 'tap:ids0', written: 5, bytes: 9000, dropped: {}, segmented: 2, segments: 6 }])
  expect(sink.balance()).toBe(0)
  expect(closingLines(report)).toContain('tap:ids0: 5 frames written, 2 of them as 6 segments\n')
})

test('the closing lines name every reason for which frames are missing', () => {
  const counters = new PipelineCounters()
  counters.addVerdict(BAD_FLAGS, 2)
  counters.addVerdict(VNI_NOT_ALLOWED, 3)
  const sinks = [
    { sink: 'pcap:a', written: 1, bytes: 100, dropped: { 'sink-overflow': 3, 'sink-error': 1 } },
    { sink: 'null', written: 4, bytes: 240, dropped: { 'not-selected': 1 } },
  ]
  const report = { ...quiet, received: 10, kernelDropped: 9, dropped: counters.dropped(), sinks }
  expect(closingLines(report).split('\n')).toEqual([
    '5 frames captured',
    '10 packets received',
    '9 packets dropped by kernel',
    '5 packets not delivered: bad-flags 2, vni-not-allowed 3',
    'pcap:a: 1 frames written, not written: sink-overflow 3, sink-error 1',
    'null: 4 frames written, not written: not-selected 1',
    '',
  ])
})

test('what befell a packet ring is told where it did', () => {
  const counters = new PipelineCounters()
  counters.kernelFreezes = 2
  counters.interfaceLosses = 1
  expect(buildReport({ counters, vnis: {}, sinks: [] })).toMatchObject({ kernelFreezes: 2, interfaceLosses: 1 })
})
