import { QUARANTINE, sinkType } from '../sinks/registry.ts'
import type { OpenSink, SinkContext, SinkWish } from '../sinks/sink.ts'
import type { SinkCounters } from '../telemetry/counters.ts'
import { SinkAccount } from '../telemetry/sink-account.ts'
import type { SinkChoice, SinkPlan } from './plan.ts'
import type { Slab, SlabPart } from './slab.ts'
import type { WorkerMemory } from './worker-memory.ts'

interface Lane {
  readonly id: number
  readonly counters: SinkCounters
}

let sinks = 0
let lanes = 0

/** A sink that is open, as the main thread sees it, with what joins it with each worker. */
export class RunningSink {
  readonly id: number = sinks++
  readonly wish: SinkWish
  readonly account: SinkAccount = new SinkAccount()
  /** It came while the program ran, or has gone: other sinks were offered more than it was. */
  isPartial = false
  /** What it selects now. */
  choice: SinkChoice
  readonly #slab: Slab
  /** By worker: places for lanes that come, so that none is missing when they do. */
  readonly #places: (SlabPart | undefined)[] = []
  readonly #lanes: (Lane | undefined)[] = []
  #open: OpenSink | undefined
  #closed: Promise<void> | undefined

  constructor(wish: SinkWish, slab: Slab) {
    this.wish = wish
    this.choice = { wanted: wish.wanted, filter: wish.filter }
    this.#slab = slab
  }

  get name(): string {
    return this.wish.name
  }

  /** Whether it is what this wish asks for, but for what it selects. */
  is({ type, options, common }: SinkWish): boolean {
    const { wish } = this
    return type === wish.type && isSame(options, wish.options) && isSame(common, wish.common)
  }

  get open(): OpenSink {
    return this.#open!
  }

  /** Takes room for the queues of so many workers, and opens the target. Throws Failure. */
  async start(workers: number, context: Omit<SinkContext, 'name' | 'account' | 'common' | 'slab'>): Promise<void> {
    const { name, common, options, type } = this.wish
    const slab = this.#slab.memory
    try {
      for (let worker = 0; worker < workers; worker++) this.#places.push(this.#newPlace())
      this.#open = await sinkType(type).open(options, { ...context, name, account: this.account, common, slab })
    } catch (error) {
      this.#freePlaces()
      throw error
    }
  }

  /** No worker has begun with it: what was made for it is taken away again. */
  async abandon(): Promise<void> {
    await this.open.abandon()
    this.#freePlaces()
  }

  /** Resolves when all that was queued has gone out, however often it is called. */
  async close(): Promise<void> {
    this.#closed ??= this.open.close()
    await this.#closed
  }

  /** Joins it with a worker that has not begun. Throws Failure when there is no room for the queue. */
  attach(worker: number, memory: WorkerMemory): Omit<SinkPlan, 'linkType'> {
    // One that was made for a worker that had just died.
    if (this.#lanes[worker] !== undefined) this.open.detach(this.#lanes[worker].id)
    const place = this.#places[worker] ?? this.#newPlace()
    this.#places[worker] = undefined
    const lane = { id: lanes++, counters: this.account.addLane() }
    lane.counters.deliveredBefore = memory.counters.delivered
    this.#lanes[worker] = lane
    const wiring = this.open.attach({
      ...lane,
      ...place,
      worker,
      peers: memory.peers,
      pipelineCounters: memory.counters.memory,
      drained: (frames) => {
        // What a worker that died had begun to hand over, and never published.
        lane.counters.addLost(lane.counters.taken - frames)
        this.account.endLane(lane.counters)
        this.#slab.giveBack(place)
      },
    })
    return {
      id: this.id,
      pipelineHalf: this.open.pipelineHalf.href,
      wiring,
      counters: lane.counters.memory,
      sent: this.account.sent.memory,
      name: this.name,
      ...this.choice,
    }
  }

  /** The worker has died. What it had delivered, and not shown to this sink, counts as offered: it is lost here, too. */
  detach(worker: number, { counters }: WorkerMemory): void {
    const lane = this.#lanes[worker]
    this.#lanes[worker] = undefined
    if (lane === undefined) return
    const { offered, deliveredBefore } = lane.counters
    if (this.wish.type !== QUARANTINE) lane.counters.addOffered(counters.delivered - deliveredBefore - offered)
    this.open.detach(lane.id)
  }

  #freePlaces(): void {
    for (const place of this.#places.splice(0)) if (place !== undefined) this.#slab.giveBack(place)
  }

  #newPlace(): SlabPart {
    return this.#slab.take(sinkType(this.wish.type).slabBytes(this.wish.common.queue))
  }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
