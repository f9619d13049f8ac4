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

  /** MiB gained while it was watched, along the line through all samples by least squares; undefined when that was too brief. */
  get growth(): number | undefined {
    if (this.minutes * 60 < FEWEST_SECONDS) return undefined
    const x = mean(this.#seconds)
    const y = mean(this.#mebibytes)
    let above = 0
    let below = 0
    for (const [i, seconds] of this.#seconds.entries()) {
      above += (seconds - x) * (this.#mebibytes[i]! - y)
      below += (seconds - x) ** 2
    }
    return (above / below) * 60 * this.minutes
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
