import { compileFilter } from '../../src/dgram-extended/libpcap.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { type SelectOptions, SelectStep } from '../../src/pipeline/select.ts'
import { PipelineCounters } from '../../src/telemetry/counters.ts'
import { LINKTYPE_ETHERNET } from '../../src/wire/link-type.ts'
import { OK } from '../../src/wire/verdict.ts'
import { frameOf, words } from '../frames/flow-frames.ts'
import { bounded, type Row, type Settings } from './report.ts'

const ROWS = 256
/** Bytes from one frame to the next. */
const SPACING = 2048
const FRAME_BYTES = 200
const IP_AND_LINK_BYTES = 34
/** TCP's sequence number: another in each pass, so that no frame is a copy. */
const SEQUENCE_AT = IP_AND_LINK_BYTES + 4
const FRAMES_PER_SECOND = 1_000_000
const PASSES = 4000

const CASES: readonly (readonly [measure: string, options: SelectOptions, below: number])[] = [
  ['nothing asked for', {}, 10],
  ["--filter 'tcp port 443'", { filter: compileFilter('tcp port 443', LINKTYPE_ETHERNET, 1) }, 30],
  ['--sample 1/2', { sample: 2 }, 100],
  ['--dedup 50ms', { dedup: 50 }, 150],
]

/** Nanoseconds to decide about one frame of 200 bytes of TCP, none of them a copy, at a million a second. */
export async function select(settings: Settings): Promise<Row[]> {
  return CASES.map(([measure, options, below]) => {
    const nanoseconds = medianOf(options, settings.quick ? PASSES / 10 : PASSES)
    const ours = `${nanoseconds.toFixed(1)} ns`
    return bounded({ part: 'select', measure, ours, value: nanoseconds, below, unit: 'ns', samples: nanoseconds })
  })
}

function medianOf(options: SelectOptions, passes: number): number {
  const batch = framesOfFlows()
  const step = new SelectStep(options, batch, new PipelineCounters())
  const each: number[] = []
  let kept = 0
  for (let pass = 0; pass < passes; pass++) {
    renew(batch, pass)
    const start = process.hrtime.bigint()
    for (let row = 0; row < ROWS; row++) if (step.judge(batch, row) === OK) kept++
    each.push(Number(process.hrtime.bigint() - start) / ROWS)
  }
  const expected = (passes * ROWS) / (options.sample ?? 1)
  if (Math.abs(kept - expected) > 0.3 * expected) throw new Error(`${kept} of ${passes * ROWS} frames were kept`)
  return each.sort((one, other) => one - other)[passes >> 1]!
}

function framesOfFlows(): FrameBatch {
  const batch = new FrameBatch(new ArrayBuffer(ROWS * SPACING), ROWS)
  for (let row = 0; row < ROWS; row++) {
    const transport = new Uint8Array(FRAME_BYTES - IP_AND_LINK_BYTES)
    transport.set(words(1000 + row, 443))
    const frame = frameOf({ protocol: 6, source: '10.0.0.1', destination: `10.1.${row}.2`, transport })
    batch.bytes.set(frame, row * SPACING)
    batch.offset[row] = row * SPACING
    batch.captured[row] = FRAME_BYTES
    batch.wireLength[row] = FRAME_BYTES
    batch.linkType[row] = LINKTYPE_ETHERNET
  }
  return batch
}

function renew(batch: FrameBatch, pass: number): void {
  for (let row = 0; row < ROWS; row++) {
    const number = pass * ROWS + row
    batch.view.setUint32(row * SPACING + SEQUENCE_AT, number)
    batch.seconds[row] = Math.floor(number / FRAMES_PER_SECOND)
    batch.nanoseconds[row] = (number % FRAMES_PER_SECOND) * (1e9 / FRAMES_PER_SECOND)
  }
}
