import { createFilter } from '../frames/bpf-compiler.ts'
import { CidrList } from '../frames/cidr-list.ts'
import type { ColumnRoom } from '../frames/column-room.ts'
import type { FrameBatch } from '../frames/frame-batch.ts'
import { HeldPieces } from '../frames/held-pieces.ts'
import { type IdRange, NumberSet } from '../frames/number-set.ts'
import { PeerCounts } from '../frames/peer-counts.ts'
import { PeerTable } from '../frames/peer-table.ts'
import { Reassembler } from '../frames/reassembler.ts'
import { TunnelCounts } from '../frames/tunnel-counts.ts'
import type { FrameSink, PipelineHalf, QuarantineHalf } from '../sinks/sink.ts'
import { sourceType } from '../sources/registry.ts'
import { PipelineCounters, SinkCounters } from '../telemetry/counters.ts'
import { LINKTYPE_RAW } from '../wire/link-type.ts'
import { OK, VERDICTS, type Verdict } from '../wire/verdict.ts'
import { AdmitStep } from './admit.ts'
import { DecapsulateStep } from './decapsulate.ts'
import { FanOut, type OnlyLinkType, type Outlet } from './fan-out.ts'
import { FastPath } from './fast-path.ts'
import { FinishStep } from './finish.ts'
import { MirrorSessions } from './mirror-sessions.ts'
import { NestedTunnels } from './nested.ts'
import { OuterStep } from './outer.ts'
import {
  COUNTED_PEERS,
  COUNTED_TUNNELS,
  type PipelinePlan,
  type SinkChoice,
  type SinkPlan,
  type WorkerChoice,
  type WorkerRefit,
} from './plan.ts'
import { RebuildStep } from './rebuild.ts'
import { RefusedPackets } from './refused-packets.ts'
import { SelectStep } from './select.ts'
import { reassemblerSlots } from './source-room.ts'
import { HELD } from './step.ts'
import { outerTunnels, type TunnelTable } from './tunnel-table.ts'

/** Walks a batch from the source to the sinks: outer headers, tunnel, admission, rebuilding, selection, finishing, fan-out. */
export class Pipeline {
  readonly counters: PipelineCounters
  /** Absent where nothing depends on who sends. */
  readonly peers: PeerTable | undefined
  readonly #tunnelCounts: TunnelCounts
  readonly #peerCounts: PeerCounts | undefined
  readonly #outer: OuterStep | undefined
  readonly #isDecapsulated: boolean
  readonly #decapsulate: DecapsulateStep
  readonly #admit: AdmitStep
  readonly #rebuild: RebuildStep
  readonly #select: SelectStep
  readonly #finish: FinishStep
  readonly #fanOut: FanOut
  readonly #refused: RefusedPackets | undefined
  readonly #fastPath: FastPath | undefined
  readonly #room: ColumnRoom
  /** Which tunnels are wanted, once some are not. */
  #wantedBits: Uint8Array | undefined
  /** Frames of the batch by verdict. */
  readonly #tally: Uint32Array = new Uint32Array(VERDICTS.length)

  private constructor(plan: PipelinePlan, batch: FrameBatch, outlets: readonly Outlet[], half?: QuarantineHalf) {
    const source = sourceType(plan.source.engine)
    this.counters = new PipelineCounters(plan.counters)
    const allowed = plan.allowFrom.length > 0 ? new CidrList(plan.allowFrom) : undefined
    if (plan.peers !== undefined) this.peers = new PeerTable(COUNTED_PEERS, allowed, plan.peers, batch.room)
    this.#tunnelCounts = new TunnelCounts(plan.tunnelCounts, COUNTED_TUNNELS)
    if (plan.peerCounts !== undefined) this.#peerCounts = new PeerCounts(plan.peerCounts)
    if (half !== undefined && plan.quarantine !== undefined) {
      const { wiring, counters } = plan.quarantine
      this.#refused = new RefusedPackets(half.attach(wiring, new SinkCounters(counters), this.peers))
    }
    const tunnels = source.outerHeaders ? outerTunnels(plan.source.listeners) : undefined
    if (tunnels !== undefined) this.#outer = outerStep(plan, batch, tunnels, this.peers, this.#refused, this.counters)
    this.#isDecapsulated = source.isDecapsulated ?? false
    const nested = new NestedTunnels(plan.depth, plan.source.listeners)
    this.#decapsulate = new DecapsulateStep({ strict: plan.strict, greKeyMode: plan.greKeyMode }, nested)
    this.#admit = new AdmitStep()
    if (!this.#isDecapsulated) this.#fastPath = FastPath.create(plan, batch, nested, tunnels, this.peers)
    this.#room = batch.room
    this.#want(plan.wanted)
    const sessions = plan.sessions && new MirrorSessions(plan.sessions, plan.timestamps)
    this.#rebuild = new RebuildStep(plan, this.#decapsulate.notes, sessions, this.counters)
    this.#select = new SelectStep(plan, batch, this.counters)
    this.#finish = new FinishStep(plan, batch)
    this.#fanOut = new FanOut(outlets, source.batchRows, batch.room)
  }

  /** `batch`: the one that will be processed. `say`: tells the user what they should know. */
  static async create(plan: PipelinePlan, batch: FrameBatch, say: (text: string) => void): Promise<Pipeline> {
    const half = plan.quarantine && ((await import(plan.quarantine.pipelineHalf)) as QuarantineHalf)
    const outlets = await Promise.all(plan.sinks.map((sink) => openOutlet(sink, say)))
    return new Pipeline(plan, batch, outlets, half)
  }

  /** The sink's half, where there is one alone. */
  get onlySink(): FrameSink | undefined {
    const { outlets } = this.#fanOut
    return outlets.length === 1 ? outlets[0]!.sink : undefined
  }

  /** Somebody may be watching what comes out of one of the sinks. */
  get isWatched(): boolean {
    return this.#fanOut.outlets.some(({ sink }) => sink.isWatched === true)
  }

  /** Whether there is a short way for plain frames, as things are at the beginning. */
  get hasFastPath(): boolean {
    return this.#fastPath !== undefined && this.#select.takesAll
  }

  /** Takes the batch from what the source made of it to where every frame is counted and every sink has seen it. */
  process(batch: FrameBatch): void {
    this.counters.addReceived(batch.count)
    this.counters.addReceivedBytes(bytesOnTheWire(batch))
    this.#judge(batch)
    this.#tunnelCounts.add(batch.tunnelId, batch.count)
    this.#peerCounts?.addRows(batch)
    this.counters.addDelivered(batch.count)
    this.counters.addDeliveredBytes(bytesOnTheWire(batch))
    if (batch.count > 0) this.#fanOut.write(batch)
    this.#outer?.endBatch()
  }

  /** Between two batches: what is let in, kept and handed to each sink from now on. `added`: of the sinks that are new. */
  choose(choice: WorkerChoice, added: readonly Outlet[]): void {
    this.peers?.allow(choice.allowFrom.length > 0 ? new CidrList(choice.allowFrom) : undefined)
    this.#want(choice.wanted)
    this.#select.choose(choice)
    for (const { counters } of added) counters.deliveredBefore = this.counters.delivered
    const known = [...this.#fanOut.outlets, ...added]
    this.#fanOut.replace(
      choice.sinks.map((sink) => ({ ...known.find(({ id }) => id === sink.id)!, ...selectionOf(sink) })),
    )
  }

  /** Lets in these tunnels from now on; without ranges all. */
  #want(ranges: readonly IdRange[]): void {
    if (ranges.length > 0) this.#wantedBits ??= this.#room.uint8(NumberSet.bitmapBytes)
    const wanted = ranges.length > 0 ? new NumberSet(ranges, this.#wantedBits) : undefined
    this.#admit.admit(wanted)
    this.#fastPath?.want(wanted)
  }

  /** Loads what reaches a sink another way. Returns what puts it in place, to be called between two batches. */
  async refit({ refitted, isQuarantine }: WorkerRefit, say: (text: string) => void): Promise<() => void> {
    if (!isQuarantine) {
      const outlet = await openOutlet(refitted, say)
      return () => this.#fanOut.refit(outlet)
    }
    const half = (await import(refitted.pipelineHalf)) as QuarantineHalf
    const quarantine = half.attach(refitted.wiring, new SinkCounters(refitted.counters), this.peers)
    return () => this.#refused?.refit(quarantine)
  }

  /** Whether all that the sinks have taken on up to now has come to its end there, asked later. */
  settlement(): () => boolean {
    const goals = this.#fanOut.outlets.map(({ counters, sent }) => ({ counters, sent, taken: counters.taken }))
    return () => goals.every(({ counters, sent, taken }) => counters.ended + sent.ended >= taken)
  }

  flush(): void {
    this.#fanOut.flush()
    this.#refused?.flush()
  }

  /** Judges each row, closes the gaps behind those that are left out, and counts each verdict once for the batch. */
  #judge(batch: FrameBatch): void {
    const rows = batch.count
    const fastPath = this.#select.takesAll ? this.#fastPath : undefined
    let kept = 0
    let misses = 0
    let nextTry = fastPath === undefined ? rows : 0
    for (let row = 0; row < rows; row++) {
      if (row >= nextTry) {
        const taken = fastPath!.take(batch, row, kept)
        kept += taken
        row += taken
        if (row === rows) break
        // Where none is for it, it is tried in vain 45 times in a batch of 1024.
        misses = taken === 0 ? misses + 1 : 0
        nextTry = row + 1 + misses
      }
      if (this.#refused !== undefined) this.#refused.remember(batch, row)
      const verdict = this.#verdict(batch, row)
      if (verdict === OK) {
        if (kept !== row) batch.moveRow(row, kept)
        kept++
      } else if (verdict !== HELD) {
        this.#tally[verdict]!++
        if (this.#refused !== undefined) this.#refused.refused(batch, row, verdict)
      }
    }
    batch.count = kept
    if (kept < rows) this.#countVerdicts()
  }

  /** The steps by name, not as a list: each call then has one target, which the compiler takes in. */
  #verdict(batch: FrameBatch, row: number): Verdict {
    if (this.#outer !== undefined) {
      const outer = this.#outer.judge(batch, row)
      if (outer !== OK) return outer
    }
    if (!this.#isDecapsulated) {
      const tunnel = this.#decapsulate.judge(batch, row)
      if (tunnel !== OK) return tunnel
    }
    const admission = this.#admit.judge(batch, row)
    if (admission !== OK) return admission
    const rebuilt = this.#rebuild.judge(batch, row)
    if (rebuilt !== OK) return rebuilt
    const selection = this.#select.judge(batch, row)
    if (selection !== OK) return selection
    return this.#finish.judge(batch, row)
  }

  #countVerdicts(): void {
    for (let verdict = 0; verdict < VERDICTS.length; verdict++) {
      if (this.#tally[verdict]! > 0) this.counters.addVerdict(verdict, this.#tally[verdict]!)
    }
    this.#tally.fill(0)
  }

  /** No frame follows. */
  close(): void {
    this.#outer?.close()
    this.#fanOut.close()
    this.#refused?.close()
  }
}

function bytesOnTheWire(batch: FrameBatch): number {
  if (batch.loops !== undefined) return batch.loops.sum(batch.wireLength, batch.count)
  let bytes = 0
  for (let row = 0; row < batch.count; row++) bytes += batch.wireLength[row]!
  return bytes
}

/** Loads a sink's half, and makes it. `say`: as for Pipeline.create. */
export async function openOutlet(plan: SinkPlan, say: (text: string) => void): Promise<Outlet> {
  const half = (await import(plan.pipelineHalf)) as PipelineHalf
  const counters = new SinkCounters(plan.counters)
  const sent = new SinkCounters(plan.sent)
  const only = plan.linkType === undefined ? undefined : onlyLinkType(plan.name, plan.linkType, say)
  return { id: plan.id, sink: half.attach(plan.wiring, counters), counters, sent, ...selectionOf(plan), only }
}

function selectionOf({ wanted, filter }: SinkChoice): Pick<Outlet, 'wanted' | 'filter'> {
  return { wanted: numberSet(wanted), filter: filter && createFilter(filter.instructions) }
}

/** Undefined = all. */
function numberSet(ranges: readonly IdRange[]): NumberSet | undefined {
  return ranges.length > 0 ? new NumberSet(ranges) : undefined
}

function onlyLinkType(name: string, linkType: number, say: (text: string) => void): OnlyLinkType {
  let isSaid = false
  const [takes, loses] =
    linkType === LINKTYPE_RAW ? ['bare IP packets', 'Ethernet frames'] : ['Ethernet frames', 'bare IP packets']
  return {
    linkType,
    refused: () => {
      if (isSaid) return
      isSaid = true
      say(`${name} takes ${takes} only: ${loses} are not written there. Write pcapng, or leave out --ip-frames raw.`)
    },
  }
}

/** In the worker's part of the slab come the source's arena, the reassembler's slots, and the pieces that may be wanted. */
function outerStep(
  plan: PipelinePlan,
  batch: FrameBatch,
  tunnels: TunnelTable,
  peers: PeerTable | undefined,
  refused: RefusedPackets | undefined,
  counters: PipelineCounters,
): OuterStep {
  const source = sourceType(plan.source.engine)
  const slots = reassemblerSlots(source.batchRows)
  const at = plan.byteOffset + source.slabBytes(plan.source)
  const held = refused && new HeldPieces(batch.bytes.buffer, at + Reassembler.bytesFor(slots), slots, refused)
  const reassembler = new Reassembler(batch.bytes, at, slots, held)
  return new OuterStep(tunnels, peers, reassembler, held, counters)
}
