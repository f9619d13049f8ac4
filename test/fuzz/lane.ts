import { compileFilter } from '../../src/dgram-extended/libpcap.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { PeerTable } from '../../src/frames/peer-table.ts'
import { TunnelCounts } from '../../src/frames/tunnel-counts.ts'
import { allocateSessions } from '../../src/pipeline/mirror-sessions.ts'
import { Pipeline } from '../../src/pipeline/pipeline.ts'
import { COUNTED_PEERS, COUNTED_TUNNELS, type PipelineOptions } from '../../src/pipeline/plan.ts'
import { slabBytesInFront } from '../../src/pipeline/source-room.ts'
import { PipelineCounters } from '../../src/telemetry/counters.ts'
import { LINKTYPE_ETHERNET } from '../../src/wire/link-type.ts'
import { loopMemory } from '../support/loop-memory.ts'
import { KeptPackets, RING_BYTES } from './kept-packets.ts'

export const ROWS = 256

/** One way to run the pipeline. */
export type Setting = Partial<Omit<PipelineOptions, 'source'>> & {
  readonly engine: 'file' | 'udp'
  /** With --quarantine. */
  readonly keeps?: boolean
}

function filter(expression: string): Setting['filter'] {
  return compileFilter(expression, LINKTYPE_ETHERNET, 1)
}

/** Lets every frame pass, after a look at it. */
export function everything(): Setting['filter'] {
  return filter('')
}

/**
 * Between them every option that looks at bytes, in the combinations that share code. Never --dedup with the mirrors' own
 * clocks: which frame is forgotten when a mutated clock runs back depends on a seed that each pipeline draws.
 */
export function settings(): ReadonlyMap<string, Setting> {
  const max = Number.POSITIVE_INFINITY
  const all = { depth: max, fixChecksums: true, dedup: 50, sample: 2 } as const
  return new Map<string, Setting>([
    ['plain', { engine: 'file', keeps: true }],
    ['all', { engine: 'file', ...all, fcs: 'auto', headers: 'l4', filter: filter('not tcp port 443') }],
    ['raw', { engine: 'file', ...all, sample: 1, fcs: 'strip', headers: 'l3', ipFrames: 'raw', greKeyMode: 'vsid' }],
    ['strict', { engine: 'file', depth: 3, strict: true, fixChecksums: true, fcs: 'auto', dedup: 5000 }],
    [
      'cut',
      {
        engine: 'file',
        depth: max,
        timestamps: 'source',
        snapLength: 60,
        headers: 'l2',
        filter: filter('(vlan and ip) or greater 100'),
      },
    ],
    ['chosen', { engine: 'file', wanted: [{ from: 0, to: 5000, deny: false }], allowFrom: ['10.0.0.0/8', 'fd00::/8'] }],
    ['sockets, plain', { engine: 'udp', keeps: true }],
    [
      'sockets',
      { engine: 'udp', keeps: true, ...all, fcs: 'auto', filter: filter('tcp[tcpflags] & tcp-syn == 0 or ip6') },
    ],
    [
      'sockets, raw',
      {
        engine: 'udp',
        depth: max,
        timestamps: 'source',
        fixChecksums: true,
        ipFrames: 'raw',
        fcs: 'strip',
        headers: 'l4',
      },
    ],
  ])
}

/** A pipeline without sinks: what a batch holds when process() returns is what sinks would have got. */
export class Lane {
  readonly batch: FrameBatch
  readonly memory: Buffer
  readonly counters: PipelineCounters
  readonly pipeline: Pipeline
  readonly kept: KeptPackets | undefined

  private constructor(
    batch: FrameBatch,
    counters: PipelineCounters,
    pipeline: Pipeline,
    kept: KeptPackets | undefined,
  ) {
    this.batch = batch
    this.memory = Buffer.from(batch.bytes.buffer)
    this.counters = counters
    this.pipeline = pipeline
    this.kept = kept
  }

  /** `fill`: what its memory is full of before anything comes. */
  static async create({ engine, keeps = false, ...options }: Setting, fill: number): Promise<Lane> {
    const source = { engine, listeners: [], buffer: 0 }
    // Sockets need no reassembler, but the packets need a place.
    const inFront = Math.max(slabBytesInFront(source), SOURCE_BYTES)
    const { memory: slab, loops } = loopMemory(inFront + (keeps ? RING_BYTES : 0))
    const kept = keeps ? new KeptPackets(slab, inFront) : undefined
    const batch = new FrameBatch(slab, ROWS, { loops })
    batch.bytes.fill(fill, 0, inFront)
    const counters = new PipelineCounters()
    const plan = {
      source,
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
      ...options,
      slab,
      counters: counters.memory,
      tunnelCounts: new SharedArrayBuffer(TunnelCounts.bytesFor(COUNTED_TUNNELS)),
      control: new SharedArrayBuffer(16),
      worker: 0,
      workers: 1,
      budget: undefined,
      byteOffset: 0,
      peers: new SharedArrayBuffer(PeerTable.bytesFor(COUNTED_PEERS)),
      sessions: allocateSessions(),
      quarantine: kept?.plan,
      sinks: [],
    } as const
    return new Lane(batch, counters, await Pipeline.create(plan, batch, () => {}), kept)
  }
}

/** The part of a lane's memory that packets are put in: that of the source which reads files. */
export const SOURCE_BYTES = 4 << 20
