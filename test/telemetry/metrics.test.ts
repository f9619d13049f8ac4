import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { BoundedLabels, METRICS, metricsTable } from '../../src/telemetry/metrics.ts'
import { PrometheusText } from '../../src/telemetry/prometheus.ts'
import type { Snapshot } from '../../src/telemetry/snapshot.ts'

const PROJECT = new URL('../../', import.meta.url).pathname

function snapshot(vnis: Record<string, number>): Snapshot {
  const report = {
    received: 7,
    delivered: 4,
    dropped: { 'bad-flags': 3 },
    kernelDropped: 2,
    vnis,
    sinks: [{ sink: 'pcap:"a"\n\\b\u001b[1m', written: 4, bytes: 400, dropped: {} }],
  }
  return { report, receivedBytes: 700, deliveredBytes: 300, inputBytes: 0, peers: { '10.0.0.1': 4 } }
}

test('README has the catalogue as the program has it', () => {
  expect(readFileSync(`${PROJECT}README.md`, 'utf8')).toContain(metricsTable())
})

test('every metric in the Grafana dashboard exists, with the labels that are used', () => {
  const text = readFileSync(`${PROJECT}config/grafana-dashboard.json`, 'utf8')
  const dashboard = JSON.parse(text) as { panels: { targets: { expr: string; legendFormat: string }[] }[] }
  const known = new Map(METRICS.map((metric) => [metric.name, metric.labels]))
  const targets = dashboard.panels.flatMap((panel) => panel.targets)
  expect(targets.length).toBeGreaterThan(10)
  for (const { expr, legendFormat } of targets) {
    const names = expr.match(/\b(?:mirror_collector|process)_\w+/g) ?? []
    expect(names.length).toBeGreaterThan(0)
    const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label!)
    for (const name of names) {
      expect([...known.keys()]).toContain(name)
      expect([...known.get(name)!, 'instance']).toEqual(expect.arrayContaining(labels))
    }
  }
  for (const name of text.match(/\bmirror_collector_\w+/g) ?? []) expect([...known.keys()]).toContain(name)
})

test('identifiers beyond the first are counted together, and no count ever falls', () => {
  const labels = new BoundedLabels(2)
  expect(labels.fold({ 5: 1, 9: 1 })).toEqual({ 5: 1, 9: 1 })
  expect(labels.fold({ 1: 4, 5: 2, 9: 1, other: 3 })).toEqual({ 5: 2, 9: 1, other: 7 })
})

test('a scrape has each metric once, labels escaped, and no address', async () => {
  const prometheus = new PrometheusText('1.2.3')
  const vnis = Object.fromEntries(Array.from({ length: 4096 }, (_, vni) => [vni, 1]))
  await prometheus.of(snapshot(vnis))
  const text = await prometheus.of(snapshot(vnis))
  expect(text).toContain('\nmirror_collector_received_frames_total 7\n')
  expect(text).toContain('\nmirror_collector_dropped_frames_total{reason="bad-flags"} 3\n')
  expect(text).toContain('\nmirror_collector_dropped_frames_total{reason="short-header"} 0\n')
  expect(text).toContain('sink_written_bytes_total{sink="pcap:\\"a\\"\\n\\\\b\\\\u001b[1m"} 400\n')
  expect(text).toContain('mirror_collector_vni_frames_total{vni="other"} 3840\n')
  expect(text.match(/vni_frames_total\{/g)).toHaveLength(257)
  expect(text.match(/^# TYPE /gm)).toHaveLength(METRICS.length)
  expect(text).not.toContain('10.0.0.1')
})
