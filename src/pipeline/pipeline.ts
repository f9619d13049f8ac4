import { CidrList } from '../frames/cidr-list.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import { NumberSet } from '../frames/number-set.ts'
import { PeerTable } from '../frames/peer-table.ts'
import { Reassembler } from '../frames/reassembler.ts'
import { TunnelCounts } from '../frames/tunnel-counts.ts'
import type { PipelineHalf } from '../sinks/sink.ts'
import { sourceType } from '../sources/registry.ts'
import type { Listener } from '../sources/source.ts'
import { PipelineCounters, SinkCounters } from '../telemetry/counters.ts'
import { ENCAPSULATIONS } from '../wire/registry.ts'
import { AdmitStage } from './admit.ts'
import { DecapsulateStage } from './decapsulate.ts'
import { FanOut, type Outlet } from './fan-out.ts'
import { OuterStage, PortTable } from './outer.ts'
import { COUNTED_PEERS, COUNTED_TUNNELS, INCOMPLETE_DATAGRAMS, type PipelinePlan, type SinkPlan } from './plan.ts'
import { RebuildStage } from './rebuild.ts'
import type { Stage } from './stage.ts'

/** Walks a batch from the source to the sinks: outer headers, tunnel, admission, rebuilding, fan-out. */
export class Pipeline {
  readonly counters: PipelineCounters
  readonly peers: PeerTable
  readonly #tunnelCounts: TunnelCounts
  readonly #reassembler: Reassembler | undefined
  readonly #outer: OuterStage | undefined
  readonly #stages: readonly Stage[]
  readonly #fanOut: FanOut

  private constructor(plan: PipelinePlan, bytes: Uint8Array, outlets: readonly Outlet[]) {
    const source = sourceType(plan.source.engine)
    this.counters = new PipelineCounters(plan.counters)
    this.peers = new PeerTable(COUNTED_PEERS, plan.allowFrom.length > 0 ? new CidrList(plan.allowFrom) : undefined)
    this.#tunnelCounts = new TunnelCounts(plan.tunnelCounts, COUNTED_TUNNELS)
    if (source.outerHeaders) {
      const slots = reassemblerSlots(source.batchRows)
      this.#reassembler = new Reassembler(bytes, source.slabBytes, slots)
      this.#outer = new OuterStage(portTable(plan.source.listeners), this.peers, this.#reassembler, this.counters)
    }
    this.#stages = [
      ...(this.#outer ? [this.#outer] : []),
      new DecapsulateStage({ strict: plan.strict }, this.counters),
      new AdmitStage(plan.wanted.length > 0 ? new NumberSet(plan.wanted) : undefined, this.counters),
      new RebuildStage(plan.snapLength, this.counters),
    ]
    this.#fanOut = new FanOut(outlets, source.batchRows)
  }

  /** `bytes`: the slab. */
  static async create(plan: PipelinePlan, bytes: Uint8Array): Promise<Pipeline> {
    return new Pipeline(plan, bytes, await Promise.all(plan.sinks.map(openOutlet)))
  }

  /** Takes the batch from what the source made of it to where every frame is counted and every sink has seen it. */
  process(batch: FrameBatch): void {
    this.counters.addReceived(batch.count)
    for (let i = 0; i < this.#stages.length; i++) this.#stages[i]!.run(batch)
    for (let row = 0; row < batch.count; row++) this.#tunnelCounts.add(batch.tunnelId[row]!)
    this.counters.addDelivered(batch.count)
    if (batch.count > 0) this.#fanOut.write(batch)
    this.#reassembler?.endBatch()
  }

  flush(): void {
    this.#fanOut.flush()
  }

  /** No frame follows. */
  close(): void {
    this.#outer?.close()
    this.#fanOut.close()
  }
}

async function openOutlet(plan: SinkPlan): Promise<Outlet> {
  const half = (await import(plan.pipelineHalf)) as PipelineHalf
  const counters = new SinkCounters(plan.counters)
  const wanted = plan.wanted.length > 0 ? new NumberSet(plan.wanted) : undefined
  return { sink: half.attach(plan.wiring, counters), counters, wanted }
}

/** Bytes of the slab in front of the sinks' parts. */
export function slabBytesInFront(engine: PipelinePlan['source']['engine']): number {
  const source = sourceType(engine)
  const reassembler = source.outerHeaders ? Reassembler.bytesFor(reassemblerSlots(source.batchRows)) : 0
  return source.slabBytes + reassembler
}

function reassemblerSlots(batchRows: number): number {
  return batchRows + INCOMPLETE_DATAGRAMS
}

/** Without listeners every port that an encapsulation owns by convention. */
function portTable(listeners: readonly Listener[]): PortTable {
  const table = new PortTable()
  for (const listener of listeners) table.set(listener.port, listener.encapsulation)
  if (listeners.length > 0) return table
  ENCAPSULATIONS.forEach((encapsulation, index) => {
    for (const port of encapsulation.udpPorts) table.set(port, index)
  })
  return table
}
