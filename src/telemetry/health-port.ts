import { createServer, type Server } from 'node:net'
import { listenOn } from './listen.ts'

/** Health checks at a time; more are refused. */
const MOST_CONNECTIONS = 64

/**
 * A TCP port that accepts and closes, which is what load balancers ask of a healthy target (UDP itself has no answer to
 * check). Throws Failure.
 */
export class HealthPort {
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(port: number): Promise<HealthPort> {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.destroySoon()
    })
    server.maxConnections = MOST_CONNECTIONS
    await listenOn(server, undefined, port, '--health-port')
    return new HealthPort(server)
  }

  close(): void {
    this.#server.close()
  }
}
