import { z } from 'zod'
import { problem } from '../../config/terms/problem.ts'

/** When frames leave: as they came, so many a second, or as soon as they can. */
export type Pace = 'original' | 'max' | number

export const pace: z.ZodType<Pace, string> = z.string().transform((text, context): Pace => {
  if (text === 'original' || text === 'max') return text
  const rate = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && rate > 0 && Number.isFinite(rate)) return rate
  context.addIssue(problem(`"${text}" is no pace`, 'Write original, max or frames a second, e.g. pace=5000.'))
  return z.NEVER
})

/** Tells when each frame is due, by the clock of performance.now(). The first is due when it is asked for. */
export class Pacer {
  readonly #interval: number | undefined
  #began = -1
  #frames = 0
  #firstSecond = 0
  #firstNanosecond = 0

  /** `rate`: frames a second; undefined = as they came. */
  constructor(rate: number | undefined) {
    this.#interval = rate && 1000 / rate
  }

  /** Of the next frame, which arrived then. A frame that came before the one in front of it is due at once. */
  due(seconds: number, nanoseconds: number, now: number): number {
    if (this.#began < 0) {
      this.#began = now
      this.#firstSecond = seconds
      this.#firstNanosecond = nanoseconds
    }
    if (this.#interval !== undefined) return this.#began + this.#frames++ * this.#interval
    return this.#began + (seconds - this.#firstSecond) * 1000 + (nanoseconds - this.#firstNanosecond) / 1e6
  }
}
