import { getSystemErrorMap } from 'node:util'
import type { SinkThread } from '../thread/loop.ts'

/** Between two attempts to have the device again. */
const RETRY_MS = 100

/** The time in which a device takes nothing: said when it begins and when it ends, however many frames are lost. */
export class Outage {
  readonly #thread: SinkThread<unknown>
  readonly #shown: string
  #isOn = false
  #retryAt = 0
  #lostBefore = 0

  constructor(thread: SinkThread<unknown>, shown: string) {
    this.#thread = thread
    this.#shown = shown
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** It is on, and time for an attempt. */
  get isDue(): boolean {
    return this.#isOn && performance.now() >= this.#retryAt
  }

  /** `lost`: frames of the sink that were lost so far. */
  begin(why: string | undefined, errno: number, lost: number): void {
    this.#retryAt = performance.now() + RETRY_MS
    if (this.#isOn) return
    this.#isOn = true
    this.#lostBefore = lost
    const text = why ?? getSystemErrorMap().get(-errno)?.join(', ') ?? `errno ${errno}`
    this.#thread.log('error', `${this.#shown} takes no frames, they are being lost: ${text}. It is tried again.`)
  }

  retried(): void {
    this.#retryAt = performance.now() + RETRY_MS
  }

  /** Does nothing while it is off. */
  end(lost: number): void {
    if (!this.#isOn) return
    this.#isOn = false
    this.#thread.log('warn', `${this.#shown} takes frames again; ${lost - this.#lostBefore} were lost.`)
  }
}
