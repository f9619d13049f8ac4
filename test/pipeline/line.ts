import { expect } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import type { IdRange } from '../../src/frames/number-set.ts'
import { PeerCounts } from '../../src/frames/peer-counts.ts'
import { PeerTable } from '../../src/frames/peer-table.ts'
import { TunnelCounts } from '../../src/frames/tunnel-counts.ts'
import { allocateSessions, type SessionMemory } from '../../src/pipeline/mirror-sessions.ts'
import { Pipeline } from '../../src/pipeline/pipeline.ts'
import { COUNTED_PEERS, COUNTED_TUNNELS, type PipelineOptions, type PipelinePlan } from '../../src/pipeline/plan.ts'
import { slabBytesInFront } from '../../src/pipeline/source-room.ts'
import { PipelineCounters, SinkCounters } from '../../src/telemetry/counters.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_TUNNEL } from '../../src/wire/link-type.ts'
import { loopMemory } from '../support/loop-memory.ts'
import { hex } from '../wire/bytes.ts'
import { type Collected, nothingCollected } from './collecting-sink.ts'

export const ROWS = 256
/** Bytes from one packet to the next. */
export const SPACING = 2048

/** One packet of a batch, as a source would put it there. */
export interface Packet {
  readonly bytes: Uint8Array
  readonly wireLength?: number
  readonly linkType?: number
  readonly second?: number
  readonly nanosecond?: number
  /** VXLAN by default. */
  readonly encapsulation?: number
  /** As a source that knows who sends tells. */
  readonly peer?: number
}

/** Puts packets into a batch. */
export function fill(batch: FrameBatch, packets: readonly Packet[], linkType: number): void {
  packets.forEach(({ bytes, ...packet }, row) => {
    batch.bytes.set(bytes, row * SPACING)
    batch.offset[row] = row * SPACING
    batch.captured[row] = bytes.length
    batch.wireLength[row] = packet.wireLength ?? bytes.length
    batch.linkType[row] = packet.linkType ?? linkType
    batch.seconds[row] = packet.second ?? 1000
    batch.nanoseconds[row] = packet.nanosecond ?? 0
    batch.encapsulation[row] = packet.encapsulation ?? 0
    batch.peer[row] = packet.peer ?? 0
  })
  batch.count = packets.length
}

/** A batch with one tunnel payload. */
export function batchOf(bytes: string, wireLength?: number): FrameBatch {
  const batch = new FrameBatch(new SharedArrayBuffer(4096), 1)
  fill(batch, [{ bytes: hex(bytes), ...(wireLength !== undefined && { wireLength }) }], LINKTYPE_TUNNEL)
  return batch
}

export interface LineSettings extends Partial<Omit<PipelineOptions, 'source'>> {
  readonly engine: 'udp' | 'file'
  readonly ports?: readonly number[]
  /** What each sink selects; by default there is one that takes all. */
  readonly sinks?: readonly (readonly IdRange[])[]
  /** By sink: the only link type that it takes. */
  readonly linkTypes?: readonly (number | undefined)[]
}

/** A whole pipeline with sinks that remember, and a batch made by hand. */
export class Line {
  readonly batch: FrameBatch
  readonly counters: PipelineCounters = new PipelineCounters()
  /** What the user was told. */
  readonly said: string[] = []
  readonly sinks: readonly { readonly collected: Collected; readonly counters: SinkCounters }[]
  readonly #tunnelCounts: SharedArrayBuffer = new SharedArrayBuffer(TunnelCounts.bytesFor(COUNTED_TUNNELS))
  readonly peers: SharedArrayBuffer = new SharedArrayBuffer(PeerTable.bytesFor(COUNTED_PEERS))
  readonly peerCounts: SharedArrayBuffer = new SharedArrayBuffer(PeerCounts.bytesFor(COUNTED_PEERS))
  readonly sessions: SessionMemory = allocateSessions()
  readonly #linkType: number
  readonly #source: PipelineOptions['source']
  #pipeline: Pipeline | undefined

  private constructor(settings: LineSettings) {
    this.#linkType = settings.engine === 'udp' ? LINKTYPE_TUNNEL : LINKTYPE_ETHERNET
    const listeners = (settings.ports ?? []).map((port) => ({ encapsulation: 0, host: undefined, port }))
    this.#source = { engine: settings.engine, listeners, buffer: 0 }
    const { memory, loops } = loopMemory(slabBytesInFront(this.#source))
    this.batch = new FrameBatch(memory, ROWS, { loops })
    this.sinks = (settings.sinks ?? [[]]).map(() => ({ collected: nothingCollected(), counters: new SinkCounters() }))
  }

  static async create(settings: LineSettings): Promise<Line> {
    const line = new Line(settings)
    const { engine: _engine, ports: _ports, sinks = [[]], linkTypes = [], ...options } = settings
    const plan: PipelinePlan = {
      source: line.#source,
      strict: false,
      greKeyMode: 'key',
      depth: undefined,
      wanted: [],
      allowFrom: [],
      snapLength: 262_144,
      timestamps: 'arrival',
      ipFrames: 'ethernet',
      ethernetAddresses: new Uint8Array(12),
      fcs: 'keep',
      fixChecksums: false,
      headers: undefined,
      count: Number.POSITIVE_INFINITY,
      countPeers: false,
      workers: 1,
      ...options,
      slab: line.batch.bytes.buffer as SharedArrayBuffer,
      counters: line.counters.memory,
      tunnelCounts: line.#tunnelCounts,
      control: new SharedArrayBuffer(16),
      worker: 0,
      budget: undefined,
      byteOffset: 0,
      peers: line.peers,
      peerCounts: line.peerCounts,
      sessions: line.sessions,
      quarantine: undefined,
      sinks: line.sinks.map(({ collected, counters }, i) => ({
        pipelineHalf: new URL('collecting-sink.ts', import.meta.url).href,
        wiring: collected,
        counters: counters.memory,
        sent: new SinkCounters().memory,
        id: i,
        wanted: sinks[i]!,
        name: `sink ${i}`,
        linkType: linkTypes[i],
      })),
    }
    line.#pipeline = await Pipeline.create(plan, line.batch, (text) => line.said.push(text))
    return line
  }

  get pipeline(): Pipeline {
    return this.#pipeline!
  }

  /** Sends a batch through, spoils the source's memory, and sees that every frame is accounted for. */
  process(packets: readonly Packet[]): void {
    fill(this.batch, packets, this.#linkType)
    this.pipeline.process(this.batch)
    this.batch.bytes.fill(0xa5, 0, ROWS * SPACING)
    this.expectBalance()
  }

  expectBalance(): void {
    expect(this.counters.balance()).toBe(0)
    for (const { counters } of this.sinks) expect(counters.balance()).toBe(0)
  }

  /** The frames that the first sink got. */
  get frames(): Collected['frames'] {
    return this.sinks[0]!.collected.frames
  }

  get vnis(): Record<string, number> {
    return new TunnelCounts(this.#tunnelCounts, COUNTED_TUNNELS).toObject()
  }
}
