/**
 * Sends mirrored frames: generator.ts --address A --inner BYTES --count N [--rate FRAMES_PER_SECOND]
 * Prints one JSON object: GeneratorResult.
 */
import { parseArgs } from 'node:util'
import { UdpSender } from '../../src/dgram-extended/udp-sender.ts'
import { SEQUENCE_OFFSET, SMALLEST_INNER_FRAME, VXLAN_PORT, vxlanPayload } from './traffic.ts'

export interface GeneratorResult {
  readonly sent: number
  readonly seconds: number
  /** Frames per second as sent. */
  readonly rate: number
  /** Calls that the full socket buffer refused; tried again. */
  readonly refused: number
}

/** Linux: the most segments of one UDP_SEGMENT message (UDP_MAX_SEGMENTS before 6.9). */
const MAX_SEGMENTS = 64
const MAX_MESSAGE_BYTES = 60_000
/** Source ports in use, as a real source host spreads its flows (RFC 7348 section 5). */
const SOURCE_PORTS = 4
/** A paced sender sends what is due for this long in one call. */
const BURST_SECONDS = 0.000_5

class Generator {
  readonly #payload: Uint8Array
  readonly #segments: number
  readonly #senders: UdpSender[] = []
  readonly #views: DataView[][] = []
  #next = 0
  #sent = 0
  #refused = 0

  constructor(address: string, innerBytes: number) {
    this.#payload = vxlanPayload(innerBytes)
    this.#segments = Math.min(MAX_SEGMENTS, Math.floor(MAX_MESSAGE_BYTES / this.#payload.length))
    for (let i = 0; i < SOURCE_PORTS; i++) {
      const segmentBytes = this.#payload.length
      const sender = UdpSender.open({ address, port: VXLAN_PORT, segmentBytes, sendBuffer: 4 << 20 })
      for (const message of sender.messages) {
        for (let k = 0; k < this.#segments; k++) message.set(this.#payload, k * segmentBytes)
      }
      this.#senders.push(sender)
      this.#views.push(sender.messages.map((m) => new DataView(m.buffer, m.byteOffset, m.byteLength)))
    }
  }

  run(count: number, rate: number): GeneratorResult {
    const burst = Math.max(1, Math.min(8, Math.floor((rate * BURST_SECONDS) / this.#segments)))
    const start = performance.now()
    while (this.#sent < count) {
      this.#sendBurst(burst, count - this.#sent)
      const due = start + (this.#sent / rate) * 1000
      while (performance.now() < due);
    }
    const seconds = (performance.now() - start) / 1000
    return { sent: this.#sent, seconds, rate: this.#sent / seconds, refused: this.#refused }
  }

  close(): void {
    for (const sender of this.#senders) sender.close()
  }

  #sendBurst(most: number, remaining: number): void {
    const messages = Math.max(1, Math.min(most, Math.floor(remaining / this.#segments)))
    const segments = Math.min(this.#segments, remaining)
    const size = this.#payload.length
    for (let m = 0; m < messages; m++) {
      const view = this.#views[this.#next]![m]!
      const first = this.#sent + m * segments
      for (let k = 0; k < segments; k++) view.setUint32(k * size + SEQUENCE_OFFSET, first + k)
    }
    const accepted = this.#senders[this.#next]!.send(messages, segments * size)
    if (accepted < messages) this.#refused++
    this.#sent += accepted * segments
    this.#next = (this.#next + 1) % SOURCE_PORTS
  }
}

function main(): void {
  const { values } = parseArgs({
    options: {
      address: { type: 'string' },
      inner: { type: 'string' },
      count: { type: 'string' },
      rate: { type: 'string' },
    },
  })
  const inner = Number(values.inner)
  const count = Number(values.count)
  const rate = Number(values.rate ?? Number.POSITIVE_INFINITY)
  if (values.address === undefined || !(inner >= SMALLEST_INNER_FRAME) || !(count > 0) || !(rate > 0)) {
    process.stderr.write(`usage: generator.ts --address A --inner ${SMALLEST_INNER_FRAME}... --count N [--rate R]\n`)
    process.exit(64)
  }
  const generator = new Generator(values.address, inner)
  const result = generator.run(count, rate)
  generator.close()
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

main()
