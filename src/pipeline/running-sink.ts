import { QUARANTINE, sinkType } from '../sinks/registry.ts'
import type { OpenSink, SinkContext, SinkWiring, SinkWish } from '../sinks/sink.ts'
import type { SinkCounters } from '../telemetry/counters.ts'
import { SinkAccount } from '../telemetry/sink-account.ts'
import type { SinkChoice, SinkPlan } from './plan.ts'
import type { Slab, SlabPart } from './slab.ts'
import type { WorkerMemory } from './worker-memory.ts'

interface Lane {
  readonly id: number
  readonly counters: SinkCounters
  /** Where its queue is; undefined where there was no room for one. */
  readonly place: SlabPart | undefined
}

/** What a worker needs to reach a sink, but for what the sink's kind may not take. */
export type JoinedSink = Omit<SinkPlan, 'linkType'>

/** Of the half in the pipeline where there is no room for a queue. */
const NO_ROOM = new URL('./no-room.js', import.meta.url)

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
  readonly #roomCame: () => void
  /** For lanes that come. */
  readonly #places: SlabPart[] = []
  /** Places that it has, those in use among them; that are its own for good; that it may have. */
  #had = 0
  #kept = 0
  #most = 0
  /** By worker. */
  readonly #lanes: (Lane | undefined)[] = []
  #open: OpenSink | undefined
  #closed: Promise<void> | undefined

  /** `roomCame`: a queue has been emptied, and there may be room for a worker that goes without one. */
  constructor(wish: SinkWish, slab: Slab, roomCame: () => void) {
    this.wish = wish
    this.choice = { wanted: wish.wanted, filter: wish.filter }
    this.#slab = slab
    this.#roomCame = roomCame
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

  /**
   * Takes room for the queues of so many workers, and opens the target. Where workers that die are started again, there may be
   * one queue more, for a successor while what its predecessor left is still being sent: a sink that is there from the start
   * keeps room for it, others take what there is then. Throws Failure.
   */
  async start(workers: number, context: Omit<SinkContext, 'name' | 'account' | 'common' | 'slab'>): Promise<void> {
    const { name, common, options, type } = this.wish
    const slab = this.#slab.memory
    this.#most = workers + (context.live ? 1 : 0)
    this.#kept = context.isLate ? workers : this.#most
    try {
      while (this.#had < this.#kept) this.#keep(this.#slab.take(this.#placeBytes))
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
    this.#freePlaces()
    await this.#closed
  }

  /** Whether there is room for the queue of one more worker, which is kept then. */
  reserve(): boolean {
    if (this.#places.length === 0 && this.#had < this.#most) {
      const place = this.#slab.tryTake(this.#placeBytes)
      if (place !== undefined) this.#keep(place)
    }
    return this.#places.length > 0
  }

  /** Joins it with a worker that has not begun: without a queue where there is no room for one, see refit(). */
  attach(worker: number, memory: WorkerMemory): JoinedSink {
    const counters = this.account.addLane()
    counters.deliveredBefore = memory.counters.delivered
    return this.#join(worker, memory, counters)
  }

  /** Joins it anew with a worker that goes without a queue, where there is room for one now. The counters are the same. */
  refit(worker: number, memory: WorkerMemory): JoinedSink | undefined {
    const lane = this.#lanes[worker]
    if (lane === undefined || lane.place !== undefined || this.#closed !== undefined) return undefined
    return this.reserve() ? this.#join(worker, memory, lane.counters) : undefined
  }

  /** The worker has died. What it had delivered, and not shown to this sink, counts as offered: it is lost here, too. */
  detach(worker: number, { counters }: WorkerMemory): void {
    const lane = this.#lanes[worker]
    this.#lanes[worker] = undefined
    if (lane === undefined) return
    const { offered, deliveredBefore } = lane.counters
    if (this.wish.type !== QUARANTINE) lane.counters.addOffered(counters.delivered - deliveredBefore - offered)
    if (lane.place === undefined) this.#ended(lane, 0)
    else this.open.detach(lane.id)
  }

  #join(worker: number, memory: WorkerMemory, counters: SinkCounters): JoinedSink {
    const place = this.reserve() ? this.#places.pop() : undefined
    const lane: Lane = { id: lanes++, counters, place }
    this.#lanes[worker] = lane
    return {
      id: this.id,
      pipelineHalf: (place === undefined ? NO_ROOM : this.open.pipelineHalf).href,
      wiring: place && this.#wiringOf(lane, place, worker, memory),
      counters: counters.memory,
      sent: this.account.sent.memory,
      name: this.name,
      ...this.choice,
    }
  }

  #wiringOf(lane: Lane, place: SlabPart, worker: number, { peers, counters }: WorkerMemory): SinkWiring {
    return this.open.attach({
      id: lane.id,
      counters: lane.counters,
      ...place,
      worker,
      peers,
      pipelineCounters: counters.memory,
      drained: (frames) => {
        this.#ended(lane, frames)
        this.#giveBack(place)
        if (this.#closed !== undefined) return
        // Empty now.
        while (this.#had < this.#kept) this.#keep(this.#slab.take(this.#placeBytes))
        this.#roomCame()
      },
    })
  }

  /** `frames` came through the lane: what a worker that died had begun to hand over, and never published, is lost. */
  #ended({ counters }: Lane, frames: number): void {
    counters.addLost(counters.taken - frames)
    this.account.endLane(counters)
  }

  #keep(place: SlabPart): void {
    this.#places.push(place)
    this.#had++
  }

  #giveBack(place: SlabPart): void {
    this.#slab.giveBack(place)
    this.#had--
  }

  #freePlaces(): void {
    for (const place of this.#places.splice(0)) this.#giveBack(place)
  }

  get #placeBytes(): number {
    return sinkType(this.wish.type).slabBytes(this.wish.common.queue)
  }
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
