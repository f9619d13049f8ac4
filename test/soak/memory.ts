import { readdirSync, readFileSync } from 'node:fs'

const SAMPLE_MS = 1000
/** Fewer say nothing about a slope: the heap grows in steps and is collected when it likes. */
const FEWEST_SECONDS = 180

/** How the resident memory of a process moves, and whether it keeps descriptors. */
export class MemoryWatch {
  /** MiB */
  largest = 0
  readonly #pid: number
  readonly #timer: NodeJS.Timeout = setInterval(() => this.#look(), SAMPLE_MS)
  readonly #seconds: number[] = []
  readonly #mebibytes: number[] = []
  #isWarm = false
  #descriptors = 0

  constructor(pid: number) {
    this.#pid = pid
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** From now on memory is to be flat: code has been compiled, all queues and tables have been touched. */
  warm(): void {
    this.#isWarm = true
    this.#descriptors = this.#descriptorsNow()
  }

  /** Minutes from the first sample that counts to the last. */
  get minutes(): number {
    return this.#seconds.length === 0 ? 0 : (this.#seconds.at(-1)! - this.#seconds[0]!) / 60
  }

  /** See growthOf(). */
  get growth(): number | undefined {
    return growthOf(this.#seconds, this.#mebibytes)
  }

  /** Descriptors that are open now and were not when it was warm: call it while the process lives. */
  descriptorsGained(): number {
    return this.#isWarm ? this.#descriptorsNow() - this.#descriptors : 0
  }

  #descriptorsNow(): number {
    return readdirSync(`/proc/${this.#pid}/fd`).length
  }

  #look(): void {
    const mebibytes = residentMiB(this.#pid)
    if (mebibytes === undefined) return
    this.largest = Math.max(this.largest, mebibytes)
    if (!this.#isWarm) return
    this.#seconds.push(performance.now() / 1000)
    this.#mebibytes.push(mebibytes)
  }
}

/**
 * MiB gained in the later half of the time, but in three minutes at least, along the line through its samples by least squares;
 * undefined when they are of less time. In the earlier half heaps and allocators still find their size: seen here, 288 MiB at most in the
 * first minutes, 309 in half an hour, 319 in the 45 minutes that followed.
 */
export function growthOf(seconds: readonly number[], mebibytes: readonly number[]): number | undefined {
  const end = seconds.at(-1) ?? 0
  const span = end - (seconds[0] ?? 0)
  if (span < FEWEST_SECONDS) return undefined
  const window = Math.max(span / 2, FEWEST_SECONDS)
  const first = seconds.findIndex((at) => at >= end - window)
  const x = seconds.slice(first)
  const y = mebibytes.slice(first)
  const [centre, level] = [mean(x), mean(y)]
  const above = x.reduce((sum, at, i) => sum + (at - centre) * (y[i]! - level), 0)
  const below = x.reduce((sum, at) => sum + (at - centre) ** 2, 0)
  return (above / below) * window
}

/** Undefined for a process that has ended. */
function residentMiB(pid: number): number | undefined {
  try {
    const resident = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return resident === null ? undefined : Number(resident[1]) / 1024
  } catch {
    return undefined
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
