import { expect, test } from 'vitest'
import { SeriesTable } from '../../../src/sinks/pcap/series-table.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../../src/wire/link-type.ts'
import { encapsulationNamed } from '../../../src/wire/registry.ts'

const vxlan = encapsulationNamed('vxlan')

test('every tunnel has a series of its own and keeps it', () => {
  const table = new SeriesTable()
  const ids = [0, 1, 100, 0xffffff, 2]
  const series = ids.map((id) => table.indexOf(vxlan, id, LINKTYPE_ETHERNET))
  expect(new Set(series).size).toBe(ids.length)
  expect(ids.map((id) => table.indexOf(vxlan, id, LINKTYPE_ETHERNET))).toEqual(series)
  expect(series.map((index) => table.describe(index))).toEqual(
    ids.map((tunnelId) => ({ encapsulation: 'vxlan', tunnelId })),
  )
})

test('tunnels that find no room share one series, which is that of no tunnel', () => {
  const table = new SeriesTable()
  const own = new Set<number>()
  for (let id = 0; id < 4096; id++) own.add(table.indexOf(vxlan, id, LINKTYPE_ETHERNET))
  expect(own.size).toBe(4096)
  const shared = table.indexOf(vxlan, 4096, LINKTYPE_ETHERNET)
  expect(own.has(shared)).toBe(false)
  for (let id = 4096; id < 100_000; id++) expect(table.indexOf(vxlan, id, LINKTYPE_ETHERNET)).toBe(shared)
  expect(table.describe(shared)).toEqual({ encapsulation: 'vxlan', tunnelId: undefined })
  expect(own.has(table.indexOf(vxlan, 4095, LINKTYPE_ETHERNET))).toBe(true)
})

test('frames and losses are counted by series, and another thread reads them', () => {
  const table = new SeriesTable()
  const a = table.indexOf(vxlan, 7, LINKTYPE_ETHERNET)
  const b = table.indexOf(vxlan, 8, LINKTYPE_ETHERNET)
  for (const [series, lost] of [
    [a, false],
    [a, true],
    [b, false],
    [a, false],
  ] as const) {
    table.count(series, lost)
  }
  const reader = new SeriesTable(table.memory)
  expect([a, b].map((series) => [reader.offered(series), reader.lost(series)])).toEqual([
    [3, 1],
    [1, 0],
  ])
  expect(reader.describe(b)).toEqual({ encapsulation: 'vxlan', tunnelId: 8 })
})

test('bare IP packets of a tunnel are a series beside its Ethernet frames', () => {
  const table = new SeriesTable()
  const frames = table.indexOf(vxlan, 7, LINKTYPE_ETHERNET)
  const packets = table.indexOf(vxlan, 7, LINKTYPE_RAW)
  expect([table.indexOf(vxlan, 7, LINKTYPE_ETHERNET), table.indexOf(vxlan, 7, LINKTYPE_RAW)]).toEqual([frames, packets])
  expect(table.describe(frames)).toEqual({ encapsulation: 'vxlan', tunnelId: 7, linkType: undefined })
  expect(table.describe(packets)).toEqual({ encapsulation: 'vxlan', tunnelId: 7, linkType: LINKTYPE_RAW })
})
