import type { KafkaCluster } from '../../kafka/client.ts'
import type { KafkaProblem } from '../../kafka/describe.ts'
import { Delivery, type DeliverySettings } from './delivery.ts'
import type { ClosedBatch } from './open-batch.ts'
import type { Spool } from './spool.ts'

/** Batches in memory; beyond it they go to the spool, or the frames wait in the sink's queue. */
const MEMORY_BYTES = 16 << 20
/** How long nothing may move before waiting for room looks at `isOver` again. */
const LOOK_MS = 5

export interface OutboxEvents {
  /** It took more than a second try. Told once, until recovered(). */
  trouble(problem: KafkaProblem): void
  recovered(): void
  /** Frames that the cluster refuses for good. */
  refused(frames: number, reason: string): void
  lost(topic: string, reason: string): void
}

/** Batches on their way out: in memory while the cluster takes them, on disk, where there is a spool, while it does not. */
export class Outbox {
  /** Frames of this run. */
  delivered = 0
  bytes = 0
  refused = 0
  /** Frames that are more than a topic takes at once. */
  tooLarge = 0
  /** Frames of earlier runs that this one delivered. */
  earlierDelivered = 0
  readonly #delivery: Delivery
  readonly #spool: Spool | undefined
  readonly #events: OutboxEvents
  /** Batches that found no room on disk; the next add() comes when they have. */
  #held: ClosedBatch[] = []
  /** The cluster takes nothing now. */
  #isStalled = false
  /** Since a batch was delivered. */
  #troubles = 0

  constructor(cluster: KafkaCluster, settings: DeliverySettings, spool: Spool | undefined, events: OutboxEvents) {
    this.#spool = spool
    this.#events = events
    this.#delivery = new Delivery(cluster, settings, {
      delivered: (batch) => this.#end(batch, true),
      refused: (batch, reason, isTooLarge) => {
        this.#end(batch, false, isTooLarge)
        events.refused(batch.frames, reason)
      },
      trouble: (problem) => this.#stall(problem),
      lost: events.lost,
      answers: () => {
        this.#isStalled = false
        this.#refill()
      },
    })
  }

  /** Nothing waits or is in flight. */
  get isEmpty(): boolean {
    return this.#delivery.pendingBytes === 0 && this.#held.length === 0 && (this.#spool?.isEmpty ?? true)
  }

  /** Raised whenever something came to an end. */
  get progress(): number {
    return this.#delivery.progress
  }

  get hasRoom(): boolean {
    return this.#held.length === 0 && this.#delivery.pendingBytes < MEMORY_BYTES
  }

  /** What an earlier run has left goes first. */
  start(): void {
    this.#refill()
  }

  add(batch: ClosedBatch): void {
    const spool = this.#spool
    if (spool === undefined || (spool.isEmpty && !this.#isStalled && this.#delivery.pendingBytes < MEMORY_BYTES)) {
      this.#delivery.submit(batch)
    } else if (this.#held.length > 0 || !spool.append(batch)) this.#held.push(batch)
    else this.#refill()
  }

  /** Resolves when there is room for more, or `isOver` says so. */
  async room(isOver: () => boolean): Promise<void> {
    while (!this.hasRoom && !isOver()) await pause()
  }

  /** Resolves when everything has come to an end, or `isOver` says so. */
  async drained(isOver: () => boolean): Promise<void> {
    while (!this.isEmpty && !isOver()) await pause()
  }

  /** Gives up: what is not on disk by now goes there; frames for which that fails are refused. Returns the frames left on disk. */
  close(): number {
    this.#delivery.close()
    const inMemory = this.#delivery.withdraw(true).filter(({ spoolNumber }) => spoolNumber === undefined)
    const rest = this.#spool === undefined ? inMemory : this.#spool.prepend(inMemory)
    const unplaced = this.#held.filter((batch) => this.#spool?.append(batch) !== true)
    for (const batch of [...rest, ...unplaced]) this.refused += batch.isEarlier ? 0 : batch.frames
    this.#held = []
    const left = this.#spool?.frames ?? 0
    this.#spool?.close()
    return left
  }

  #end(batch: ClosedBatch, isDelivered: boolean, isTooLarge = false): void {
    if (isDelivered) {
      if (this.#troubles >= 2) this.#events.recovered()
      this.#troubles = 0
    }
    if (batch.isEarlier) this.earlierDelivered += isDelivered ? batch.frames : 0
    else if (isDelivered) this.delivered += batch.frames
    else if (isTooLarge) this.tooLarge += batch.frames
    else this.refused += batch.frames
    if (isDelivered && !batch.isEarlier) this.bytes += batch.bytes.length
    if (batch.spoolNumber !== undefined) this.#spool!.settle(batch.spoolNumber)
    this.#refill()
  }

  #stall(problem: KafkaProblem): void {
    // Once happens when a partition's leader moves, and is over at the next try.
    this.#troubles++
    if (this.#troubles === 2) this.#events.trouble(problem)
    this.#isStalled = true
    const spool = this.#spool
    if (spool === undefined) return
    // A batch that waits in memory would be lost with the program. It is older than all of its partition's on disk.
    const batches = this.#delivery.withdraw()
    for (const { spoolNumber } of batches) if (spoolNumber !== undefined) spool.putBack(spoolNumber)
    for (const batch of spool.prepend(batches.filter(({ spoolNumber }) => spoolNumber === undefined))) {
      this.#delivery.submit(batch)
    }
  }

  /** Fetches from disk what the cluster can take; then what waited for room there. */
  #refill(): void {
    const spool = this.#spool
    if (spool === undefined || this.#isStalled) return
    if (this.#delivery.pendingBytes < MEMORY_BYTES / 2 && spool.hasMore) {
      for (const batch of spool.read(MEMORY_BYTES / 2)) {
        if (batch.bytes.length > 0) this.#delivery.submit(batch)
        else {
          spool.settle(batch.spoolNumber!)
          this.refused += batch.isEarlier ? 0 : batch.frames
          this.#events.refused(batch.frames, 'the spool is damaged')
        }
      }
    }
    while (this.#held.length > 0 && spool.append(this.#held[0]!)) this.#held.shift()
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_MS))
}
