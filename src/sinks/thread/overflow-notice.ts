import type { Logger } from 'pino'
import type { SinkAccount } from '../../telemetry/sink-account.ts'

const LOOK_MS = 500
/** So many looks in a row without a loss, and the sink keeps up again: a sink that is just too slow is said once, not each second. */
const CALM_LOOKS = 10

/** Says once that a sink's queue is full, and once that it no longer is; looks at the counters now and then. */
export class OverflowNotice {
  readonly #name: string
  readonly #log: Logger
  readonly #account: SinkAccount
  readonly #timer: NodeJS.Timeout
  #seen = 0
  #lostBefore = 0
  #calm = CALM_LOOKS

  constructor(name: string, log: Logger, account: SinkAccount) {
    this.#name = name
    this.#log = log
    this.#account = account
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const lost = this.#account.total.overflow
    const isCalm = lost === this.#seen
    const wasCalm = this.#calm >= CALM_LOOKS
    if (!isCalm && wasCalm) {
      this.#lostBefore = this.#seen
      const text =
        'Frames come faster than this sink takes them, its queue is full and its newest frames are being lost.'
      this.#log.warn({ sink: this.#name }, `${text} Other sinks go on; queue=SIZE helps against bursts.`)
    }
    this.#seen = lost
    this.#calm = isCalm ? Math.min(this.#calm + 1, CALM_LOOKS) : 0
    if (!wasCalm && this.#calm >= CALM_LOOKS)
      this.#log.warn({ sink: this.#name }, `This sink keeps up again; ${lost - this.#lostBefore} frames were lost.`)
  }
}
