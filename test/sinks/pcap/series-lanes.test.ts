import { expect, test } from 'vitest'
import { SeriesLanes } from '../../../src/sinks/pcap/series-lanes.ts'
import { SeriesTable } from '../../../src/sinks/pcap/series-table.ts'
import type { Lane } from '../../../src/sinks/thread/wiring.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../../src/wire/link-type.ts'

/** As much of a lane as numbers series. */
function lane(id: number): { lane: Lane<unknown>; table: SeriesTable } {
  const table = new SeriesTable()
  return { lane: { id, series: table.memory } as Lane<unknown>, table }
}

test('a tunnel has one number, whatever its numbers at the workers, and the counts of both', () => {
  const [one, other] = [lane(1), lane(2)]
  const lanes = new SeriesLanes()
  const numbers = [one, other].map(({ lane, table }, i) => {
    lanes.use(lane)
    // Each worker meets them in another order.
    const vnis = i === 0 ? [7, 8, 9] : [9, 8, 7]
    return new Map(
      vnis.map((vni) => {
        const own = table.indexOf(0, vni, LINKTYPE_ETHERNET)
        for (let n = 0; n < vni; n++) table.count(own, n === 0)
        return [vni, lanes.of(own)]
      }),
    )
  })
  expect(numbers[0]!.get(7)).not.toBe(numbers[0]!.get(8))
  expect([...numbers[1]!].sort()).toEqual([...numbers[0]!].sort())
  const seven = numbers[0]!.get(7)!
  expect(lanes.describe(seven)).toMatchObject({ encapsulation: 'vxlan', tunnelId: 7 })
  expect([lanes.offered(seven), lanes.lost(seven)]).toEqual([14, 2])
  lanes.leave(one.lane)
  lanes.leave(one.lane)
  expect([lanes.offered(seven), lanes.lost(seven)]).toEqual([14, 2])
})

test('bare packets of a tunnel are a series beside its Ethernet frames', () => {
  const { lane: only, table } = lane(1)
  const lanes = new SeriesLanes()
  lanes.use(only)
  const raw = lanes.of(table.indexOf(0, 7, LINKTYPE_RAW))
  expect(lanes.describe(raw)).toMatchObject({ tunnelId: 7, linkType: LINKTYPE_RAW })
  expect(lanes.describe(lanes.of(table.indexOf(0, 7, LINKTYPE_ETHERNET))).linkType).toBeUndefined()
})

test('workers that meet 4096 tunnels each, all different, need no more room than one: the rest are one series, with all counts', () => {
  const [one, other] = [lane(1), lane(2)]
  const lanes = new SeriesLanes()
  const seen = new Set<number>()
  for (const [i, { lane, table }] of [one, other].entries()) {
    lanes.use(lane)
    for (let vni = 0; vni < 5000; vni++) {
      const own = table.indexOf(0, i * 10_000 + vni, LINKTYPE_ETHERNET)
      table.count(own, false)
      seen.add(lanes.of(own))
    }
  }
  expect(seen.size).toBe(4096 + 1)
  const [shared] = [...seen].filter((series) => lanes.describe(series).tunnelId === undefined)
  expect(lanes.offered(shared!)).toBe(10_000 - 4096)
})
