import { Bench } from 'tinybench'
import { ENCAPSULATIONS } from '../../src/wire/registry.ts'
import { OK } from '../../src/wire/verdict.ts'
import { bounded, type Row, type Settings } from './report.ts'

/** A header of each encapsulation, from its specification, with the frame it carries left out. */
const HEADERS: ReadonlyMap<string, string> = new Map([
  // RFC 7348 section 5: I flag, VNI 100.
  ['vxlan', '08000000 00006400'],
])

const FRAME_BYTES = 64
const SLOTS = 256

/** Nanoseconds to take one tunnel off, for every encapsulation in the registry. */
export async function wire(settings: Settings): Promise<Row[]> {
  const rows: Row[] = []
  for (const encapsulation of ENCAPSULATIONS) {
    const { name } = encapsulation
    const header = HEADERS.get(name)
    if (header === undefined) {
      rows.push({ part: 'wire', measure: `${name}: this benchmark has no header of it`, holds: false })
      continue
    }
    const bytes = slots(Buffer.from(header.replaceAll(' ', ''), 'hex'))
    const decapsulator = encapsulation.create({ strict: false })
    const stride = bytes.length / SLOTS
    let identifiers = 0
    const bench = new Bench({ time: settings.quick ? 200 : 1000 })
    bench.add(name, () => {
      for (let i = 0; i < SLOTS; i++) {
        if (decapsulator.decode(bytes, i * stride, stride) !== OK) throw new Error(`${name} refuses its header`)
        identifiers += decapsulator.tunnelId
      }
    })
    const [task] = await bench.run()
    if (task?.result.state !== 'completed') throw new Error(`${name}: ${task?.result.state}`)
    if (identifiers === 0) throw new Error(`${name}: no tunnel identifier was read`)
    const nanoseconds = (task.result.latency.p50 * 1e6) / SLOTS
    rows.push(
      bounded({
        part: 'wire',
        measure: `${name}: decode`,
        ours: `${nanoseconds.toFixed(1)} ns`,
        value: nanoseconds,
        below: 10,
        unit: 'ns',
        samples: nanoseconds,
      }),
    )
  }
  return rows
}

function slots(header: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SLOTS * (header.length + FRAME_BYTES))
  for (let i = 0; i < SLOTS; i++) bytes.set(header, i * (header.length + FRAME_BYTES))
  return bytes
}
