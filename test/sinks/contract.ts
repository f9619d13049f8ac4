import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { sinkText } from '../../src/config/sink-wish.ts'
import { allocateSharedMemory, openSharedMemory } from '../../src/dgram-extended/shared-memory.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import type { FrameSink, OpenSink, PipelineHalf, SinkContext, SinkType } from '../../src/sinks/sink.ts'
import { PipelineCounters, type SinkCounters } from '../../src/telemetry/counters.ts'
import { SinkAccount } from '../../src/telemetry/sink-account.ts'

export const ROWS = 64
const SPACING = 2048
/** Where the source's part of the slab ends and the sink's begins. */
const FRONT_BYTES = ROWS * SPACING

/** Where the examples of --help write. */
const EXAMPLE_FOLDER = '/var/lib/mirror'

type SinkRegistry = typeof import('../../src/sinks/registry.ts')

/** The compiled registry: a sink's thread is started from the compiled file beside it. */
async function compiledType(type: string): Promise<SinkType<unknown>> {
  const registry = (await import(new URL('../../dist/sinks/registry.js', import.meta.url).href)) as SinkRegistry
  return registry.sinkType(type)
}

/** A sink that was opened as its own example says, in a folder of its own, with both of its halves. */
export class OpenedSink {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'sink-'))
  readonly account: SinkAccount = new SinkAccount()
  /** Of each lane that was drained, the frames that came through it. */
  readonly drained: number[] = []
  readonly stops: string[] = []
  batch!: FrameBatch
  open!: OpenSink
  frames!: FrameSink
  readonly #lane: SinkCounters = this.account.addLane()
  readonly #rows: Uint16Array = Uint16Array.from({ length: ROWS }, (_, row) => row)

  /** `text` may name the folder by EXAMPLE_FOLDER, as examples do. */
  static async create(text: string, settings: { live?: boolean } = {}): Promise<OpenedSink> {
    const sink = new OpenedSink()
    try {
      await sink.#open(text.replaceAll(EXAMPLE_FOLDER, sink.folder), settings.live ?? false)
    } catch (error) {
      sink.dispose()
      throw error
    }
    return sink
  }

  /** All that is counted of it, now. */
  get counters(): SinkCounters {
    return this.account.total
  }

  /** Offers `count` frames of `length` bytes, then spoils the memory in which the source had them. */
  write(count: number, length: number, first = 0): void {
    for (let row = 0; row < count; row++) this.#fillRow(row, length, first + row)
    this.batch.count = count
    this.#lane.addOffered(count)
    this.frames.write(this.batch, this.#rows, count)
    this.batch.bytes.fill(0xa5, 0, FRONT_BYTES)
  }

  /** Closes both halves, as the pipeline and the supervisor do. */
  async close(): Promise<void> {
    this.frames.close()
    await this.open.close()
  }

  /** Paths of what the sink has written. */
  files(): string[] {
    return readdirSync(this.folder)
      .sort()
      .map((name) => join(this.folder, name))
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #open(text: string, live: boolean): Promise<void> {
    const wish = sinkText.parse(text)
    const type = await compiledType(wish.type)
    const byteLength = type.slabBytes(wish.queue)
    const slab = allocateSharedMemory(FRONT_BYTES + byteLength)
    this.batch = new FrameBatch(openSharedMemory(slab), ROWS)
    const context: SinkContext = {
      name: text,
      log: pino({ level: 'silent' }),
      announced: Promise.resolve(),
      account: this.account,
      common: { overflow: wish.overflow ?? 'block', queue: wish.queue },
      slab,
      live,
      rawIp: false,
      fail: (failure) => this.stops.push(failure.what),
      stop: (reason) => this.stops.push(reason),
    }
    this.open = await type.open(wish.options, context)
    const half = (await import(this.open.pipelineHalf.href)) as PipelineHalf
    const wiring = this.open.attach({
      id: 0,
      worker: 0,
      counters: this.#lane,
      byteOffset: FRONT_BYTES,
      byteLength,
      pipelineCounters: new PipelineCounters().memory,
      peers: undefined,
      drained: (frames) => this.drained.push(frames),
    })
    this.frames = half.attach(wiring, this.#lane)
  }

  #fillRow(row: number, length: number, number: number): void {
    const { batch } = this
    batch.offset[row] = row * SPACING
    batch.captured[row] = length
    batch.wireLength[row] = length + 5
    batch.seconds[row] = 1_700_000_000
    batch.nanoseconds[row] = number
    batch.tunnelId[row] = 100
    batch.encapsulation[row] = 0
    batch.bytes.fill(number & 0x7f, row * SPACING, row * SPACING + length)
  }
}

/** The bytes of frame `number`, lower-case hexadecimal. */
export function frameText(number: number, length: number): string {
  return (number & 0x7f).toString(16).padStart(2, '0').repeat(length)
}
