import { createSocket, type Socket } from 'node:dgram'

const EVERY_MS = 20
const FRAMES_EACH_TIME = 10

/** VXLAN datagrams from a few addresses of loopback, some hundreds a second, until stopped. */
export class TunnelTraffic {
  #sockets: readonly Socket[]
  readonly #timer: NodeJS.Timeout
  sent = 0

  private constructor(sockets: readonly Socket[], port: number) {
    this.#sockets = sockets
    this.#timer = setInterval(() => this.#send(port), EVERY_MS)
  }

  static async start(port: number, senders: readonly string[]): Promise<TunnelTraffic> {
    const sockets = await Promise.all(
      senders.map(async (address) => {
        const socket = createSocket('udp4')
        await new Promise<void>((resolve) => socket.bind(0, address, resolve))
        return socket
      }),
    )
    return new TunnelTraffic(sockets, port)
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const socket of this.#sockets) socket.close()
    this.#sockets = []
  }

  #send(port: number): void {
    for (let i = 0; i < FRAMES_EACH_TIME; i++) {
      // RFC 7348 section 5: flags with the I bit, then the VNI; every tenth datagram lacks the flag.
      const header = Buffer.alloc(8)
      header[0] = i === 0 ? 0 : 0x08
      header.writeUInt32BE((100 + (i % 3)) << 8, 4)
      this.#sockets[i % this.#sockets.length]!.send([header, Buffer.alloc(200, 0x42)], port, '127.0.0.1')
      this.sent++
    }
  }
}
