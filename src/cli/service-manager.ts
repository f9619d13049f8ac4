import { SyscallError } from '../dgram-extended/syscall-error.ts'
import { sendUnixDatagram } from '../dgram-extended/unix-datagram.ts'

/** Tells systemd, where it started this process with Type=notify, how the service is: sd_notify(3). */
export class ServiceManager {
  /** How often isAlive() should be called; undefined where no watchdog waits for it. Half of systemd's patience. */
  readonly watchdogMs: number | undefined
  readonly #socket: string | undefined
  #failure: string | undefined

  constructor({ NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv) {
    this.#socket = NOTIFY_SOCKET === '' ? undefined : NOTIFY_SOCKET
    const isMeant = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid
    const patience = Number(WATCHDOG_USEC ?? 0) / 1000
    if (this.#socket !== undefined && isMeant && patience > 0) this.watchdogMs = patience / 2
  }

  /** Why systemd could not be told something; undefined while it could. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** What the service was started to do, or reloaded for, is done. `status`: for `systemctl status`. */
  isReady(status?: string): void {
    this.#say('READY=1', ...(status === undefined ? [] : [`STATUS=${status}`]))
  }

  /** isReady() follows. */
  isReloading(): void {
    // systemd wants to know of which time it is, CLOCK_MONOTONIC's: that is what hrtime is.
    this.#say('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`)
  }

  isStopping(): void {
    this.#say('STOPPING=1')
  }

  isAlive(): void {
    this.#say('WATCHDOG=1')
  }

  #say(...lines: string[]): void {
    if (this.#socket === undefined) return
    try {
      sendUnixDatagram(this.#socket, Buffer.from(lines.join('\n')))
    } catch (error) {
      if (!(error instanceof SyscallError || error instanceof RangeError)) throw error
      this.#failure ??= error.message.split('\n')[0]
    }
  }
}
