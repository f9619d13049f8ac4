import type { HttpListen } from '../config/http-listen.ts'
import type { Supervisor } from '../pipeline/supervisor.ts'
import { HealthPort } from '../telemetry/health-port.ts'
import type { RunFacts } from '../telemetry/live-status.ts'
import type { TelemetryServer } from '../telemetry/telemetry-server.ts'
import { version } from './version.ts'

/** What of a run is seen from outside: `--http` and `--health-port`. */
export class Telemetry {
  readonly #supervisor: Supervisor
  readonly #version: string = version()
  #isCollecting = false
  #server: TelemetryServer | undefined
  #health: HealthPort | undefined

  constructor(supervisor: Supervisor) {
    this.#supervisor = supervisor
  }

  get url(): string | undefined {
    return this.#server?.url
  }

  /** Before anything else is opened, so that what cannot be had leaves nothing behind. Throws Failure. */
  async open(http: HttpListen | undefined, healthPort: number | undefined): Promise<void> {
    if (healthPort !== undefined) this.#health = await HealthPort.open(healthPort)
    if (http !== undefined) await this.#serve(http)
  }

  /** The sockets are open. */
  collecting(): void {
    this.#isCollecting = true
  }

  async #serve({ host, port }: HttpListen): Promise<void> {
    // Loaded only when wanted.
    const { TelemetryServer } = await import('../telemetry/telemetry-server.ts')
    const supervisor = this.#supervisor
    this.#server = await TelemetryServer.open(host, port, {
      snapshot: () => supervisor.snapshot(),
      facts: () => this.#facts(),
    })
  }

  close(): void {
    this.#health?.close()
    this.#server?.close()
  }

  #facts(): RunFacts {
    const listening = this.#supervisor.description
    const state = this.#supervisor.stopped ? 'stopping' : this.#isCollecting ? 'collecting' : 'starting'
    return { version: this.#version, state, listening }
  }
}
