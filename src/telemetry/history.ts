import type { Report } from './report.ts'
import type { Snapshot } from './snapshot.ts'

/** Seconds that the live page plots. */
export const HISTORY_SECONDS = 120
/** What warnings look back on. */
const WINDOW_SECONDS = 60

/** One interval of about a second. */
export interface Rates {
  /** When it ended, milliseconds since 1970. */
  readonly at: number
  readonly received: number
  readonly receivedBits: number
  readonly delivered: number
  readonly deliveredBits: number
  /** For whatever reason, the kernel's among them. */
  readonly dropped: number
}

/** What rose, per second, by name. */
export type RateByName = Readonly<Record<string, number>>

/** The part of a report that warnings compare; what senders can make long is left out. */
type Totals = Omit<Report, 'vnis'>

interface Moment {
  /** performance.now(). */
  readonly clock: number
  readonly totals: Totals
}

/** The last two minutes, sampled once a second in the main thread. */
export class TrafficHistory {
  readonly rates: Rates[] = []
  /** Frames a second in the last interval. */
  vniRates: RateByName = {}
  peerRates: RateByName = {}
  readonly #moments: Moment[] = []
  #last: { readonly snapshot: Snapshot; readonly clock: number } | undefined

  /** `clock`: performance.now(); `at`: milliseconds since 1970. */
  sample(snapshot: Snapshot, clock: number, at: number): void {
    const last = this.#last
    if (last !== undefined && clock > last.clock) this.#addInterval(last.snapshot, snapshot, clock - last.clock, at)
    this.#last = { snapshot, clock }
    const { vnis: _vnis, ...totals } = snapshot.report
    this.#moments.push({ clock, totals })
    while (this.#moments[0]!.clock < clock - WINDOW_SECONDS * 1000 - 500) this.#moments.shift()
  }

  /** The accounting a minute ago, or where sampling began, and how many seconds ago that was. */
  get before(): { readonly totals: Totals; readonly seconds: number } | undefined {
    const [first] = this.#moments
    const last = this.#moments.at(-1)
    if (first === undefined || last === undefined) return undefined
    return { totals: first.totals, seconds: (last.clock - first.clock) / 1000 }
  }

  #addInterval(before: Snapshot, now: Snapshot, milliseconds: number, at: number): void {
    const perSecond = 1000 / milliseconds
    this.rates.push({
      at,
      received: (now.report.received - before.report.received) * perSecond,
      receivedBits: (now.receivedBytes - before.receivedBytes) * 8 * perSecond,
      delivered: (now.report.delivered - before.report.delivered) * perSecond,
      deliveredBits: (now.deliveredBytes - before.deliveredBytes) * 8 * perSecond,
      dropped: (allDropped(now.report) - allDropped(before.report)) * perSecond,
    })
    if (this.rates.length > HISTORY_SECONDS) this.rates.shift()
    this.vniRates = risen(before.report.vnis, now.report.vnis, perSecond)
    this.peerRates = risen(before.peers, now.peers, perSecond)
  }
}

/** Everything that was not delivered, the kernel's drops among it. */
export function allDropped({ dropped, kernelDropped }: Report): number {
  return Object.values(dropped).reduce((sum, frames) => sum + frames, kernelDropped)
}

function risen(before: Record<string, number>, now: Record<string, number>, perSecond: number): RateByName {
  const result: Record<string, number> = {}
  for (const [name, frames] of Object.entries(now)) result[name] = Math.max(0, frames - (before[name] ?? 0)) * perSecond
  return result
}
