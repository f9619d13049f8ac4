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
