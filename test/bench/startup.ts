import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Place } from './place.ts'
import { startCollector } from './receivers.ts'
import { bounded, type Row, type Settings } from './report.ts'
import { median } from './statistics.ts'

/** From the start of the process to the line that says `listening`. */
export async function startup(place: Place, settings: Settings): Promise<Row[]> {
  const seconds: number[] = []
  for (let i = 0; i < (settings.quick ? 3 : 10); i++) {
    const file = join(place.folder, 'startup.pcap')
    const start = performance.now()
    const { stop } = await startCollector(place, `pcap:${file}`)
    seconds.push((performance.now() - start) / 1000)
    await stop()
    rmSync(file)
  }
  return [
    bounded({
      part: 'startup',
      measure: `start to listening, median of ${seconds.length}`,
      ours: `${median(seconds).toFixed(3)} s`,
      value: median(seconds),
      below: 0.5,
      unit: 's',
      samples: seconds,
    }),
  ]
}
