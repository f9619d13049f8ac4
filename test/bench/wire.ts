import { Bench } from 'tinybench'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { NumberSet } from '../../src/frames/number-set.ts'
import { AdmitStep } from '../../src/pipeline/admit.ts'
import { DecapsulateStep } from '../../src/pipeline/decapsulate.ts'
import { NestedTunnels } from '../../src/pipeline/nested.ts'
import { ENCAPSULATIONS } from '../../src/wire/registry.ts'
import { OK } from '../../src/wire/verdict.ts'
import { bounded, measured, type Row, type Settings } from './report.ts'

/** A header of each encapsulation, from its specification, with the frame it carries left out. */
const HEADERS: ReadonlyMap<string, string> = new Map([
  // RFC 7348 section 5: I flag, VNI 100.
  ['vxlan', '08000000 00006400'],
  // draft-ietf-nvo3-vxlan-gpe section 3: I and P flags, next protocol Ethernet, VNI 100.
  ['vxlan-gpe', '0c000003 00006400'],
  // RFC 8926 section 3.4: Ethernet, VNI 100, one option of 4 bytes.
  ['geneve', '02006558 00006400 01080101 00000001'],
  // RFC 2890: key 100, sequence number 1, Ethernet.
  ['gre', '30006558 00000064 00000001'],
  ['gre-in-udp', '20006558 00000064'],
  // A received Ethernet frame, tag END.
  ['tzsp', '01000001 01'],
  // Best effort, VLAN 100, tagged.
  ['hp-erm', '00000000 00000000 00406480'],
])

const FRAME_BYTES = 64
const SLOTS = 256

/**
 * Nanoseconds to take one tunnel off, for every encapsulation in the registry, in one loop as the pipeline has it: VXLAN
 * while it is alone there, the others after V8 has met more than four kinds, when it finds methods and fields through a
 * table: what a collector of all encapsulations sees. HP ERM's header is as simple as VXLAN's, and costs as much as TZSP's.
 */
export async function wire(settings: Settings): Promise<Row[]> {
  const rows: Row[] = []
  let vxlan = Number.NaN
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
    let read = 0
    const bench = new Bench({ time: settings.quick ? 200 : 1000 })
    bench.add(name, () => {
      for (let i = 0; i < SLOTS; i++) {
        if (decapsulator.decode(bytes, i * stride, stride, stride) !== OK) throw new Error(`${name} refuses its header`)
        read += decapsulator.tunnelId + decapsulator.headerBytes
      }
    })
    const [task] = await bench.run()
    if (task?.result.state !== 'completed') throw new Error(`${name}: ${task?.result.state}`)
    if (read === 0) throw new Error(`${name}: nothing was read`)
    const nanoseconds = (task.result.latency.p50 * 1e6) / SLOTS
    const row = { part: 'wire', measure: `${name}: decode`, ours: `${nanoseconds.toFixed(1)} ns`, samples: nanoseconds }
    if (name === 'vxlan') {
      vxlan = nanoseconds
      rows.push(bounded({ ...row, value: nanoseconds, below: 10, unit: 'ns' }), admitted(header, settings))
    } else {
      const yardstick = `vxlan: ${vxlan.toFixed(1)} ns`
      rows.push(measured({ ...row, yardstick, ratio: nanoseconds / vxlan, atMost: 3 }))
    }
  }
  return rows
}

/** The same header through the pipeline's own steps, with the columns that a source fills: taken off, and its VNI let in. */
function admitted(header: string, settings: Settings): Row {
  const bytes = slots(Buffer.from(header.replaceAll(' ', ''), 'hex'))
  const stride = bytes.length / SLOTS
  const batch = new FrameBatch(bytes.buffer, SLOTS)
  const starts = Uint32Array.from({ length: SLOTS }, (_, row) => row * stride)
  const decapsulate = new DecapsulateStep({ strict: false, greKeyMode: 'key' }, new NestedTunnels(undefined, []))
  const admit = new AdmitStep(new NumberSet([{ from: 100, to: 200, deny: false }]))
  const each: number[] = []
  for (let pass = 0; pass < (settings.quick ? 2000 : 10_000); pass++) {
    const start = process.hrtime.bigint()
    batch.offset.set(starts)
    batch.captured.fill(stride)
    batch.wireLength.fill(stride)
    let kept = 0
    for (let row = 0; row < SLOTS; row++) {
      if (decapsulate.judge(batch, row) === OK && admit.judge(batch, row) === OK) kept++
    }
    each.push(Number(process.hrtime.bigint() - start) / SLOTS)
    if (kept !== SLOTS) throw new Error(`${kept} of ${SLOTS} frames were let in`)
  }
  const nanoseconds = each.sort((one, other) => one - other)[each.length >> 1]!
  const ours = `${nanoseconds.toFixed(1)} ns`
  const measure = 'vxlan: decapsulate and admit'
  return bounded({ part: 'wire', measure, ours, value: nanoseconds, below: 60, unit: 'ns', samples: nanoseconds })
}

function slots(header: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SLOTS * (header.length + FRAME_BYTES))
  for (let i = 0; i < SLOTS; i++) bytes.set(header, i * (header.length + FRAME_BYTES))
  return bytes
}
