import { readFileSync } from 'node:fs'

const SAMPLE_MS = 1000
/** Until then the program still warms up: code is compiled, queues and tables are touched for the first time (seen: 194 to 225 MiB). */
const WARM_UP_SECONDS = 60
/** Fewer say nothing about a slope. */
const FEWEST_SAMPLES = 60

/** How the resident memory of a process moves. */
export class MemoryWatch {
  /** MiB */
  largest = 0
  readonly #pid: number
  readonly #began: number = performance.now()
  readonly #timer: NodeJS.Timeout = setInterval(() => this.#look(), SAMPLE_MS)
  readonly #seconds: number[] = []
  readonly #mebibytes: number[] = []

  constructor(pid: number) {
    this.#pid = pid
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** MiB a minute, by least squares; undefined when it was watched too briefly to tell. */
  get slope(): number | undefined {
    if (this.#seconds.length < FEWEST_SAMPLES) return undefined
    const x = mean(this.#seconds)
    const y = mean(this.#mebibytes)
    let above = 0
    let below = 0
    for (const [i, seconds] of this.#seconds.entries()) {
      above += (seconds - x) * (this.#mebibytes[i]! - y)
      below += (seconds - x) ** 2
    }
    return (60 * above) / below
  }

  #look(): void {
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#pid}/status`, 'utf8'))
    // A process that has just ended has none.
    if (resident === null) return
    const mebibytes = Number(resident[1]) / 1024
    this.largest = Math.max(this.largest, mebibytes)
    const seconds = (performance.now() - this.#began) / 1000
    if (seconds < WARM_UP_SECONDS) return
    this.#seconds.push(seconds)
    this.#mebibytes.push(mebibytes)
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
