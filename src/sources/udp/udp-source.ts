import { EXIT_UNAVAILABLE, Failure } from '../../config/terms/failure.ts'
import { DatagramArena } from '../../dgram-extended/datagram-arena.ts'
import type { DatagramSocket } from '../../dgram-extended/datagram-socket.ts'
import { systemCallsUnavailable } from '../../dgram-extended/libc.ts'
import { Poller } from '../../dgram-extended/poller.ts'
import type { FrameBatch } from '../../frames/frame-batch.ts'
import type { Source, SourceContext, SourcePlan, SourceType } from '../source.ts'
import { bufferWarning, describeListener } from '../udp-listeners.ts'
import { labelRows } from '../udp-rows.ts'
import { isShareable, legacyOf, openSockets, sharedOf } from './sockets.ts'

/** Datagrams of one receive call: the cost of entering the kernel, some 100 ns, is then shared by many. */
const BATCH_ROWS = 256
/**
 * How long to let datagrams gather once the sockets are empty: a system call and a wake-up for each handful cost more than all the
 * rest. At 600 k/s a receive after every batch of fewer than 64 cost 3200 wake-ups a second and 0.89 us a frame, this 700 and 0.84.
 */
const NAP_MS = 1
/** A socket buffer that holds several naps even at 1.3 M packets a second of more than a kilobyte each, as the kernel counts its overhead, too. */
const BUFFER_FOR_NAPS = 16 << 20

/** UDP sockets, and raw ones of tunnels that are an IP protocol, read in batches with recvmmsg. */
class UdpSource implements Source {
  readonly description: readonly string[]
  readonly warnings: readonly string[]
  readonly group: unknown
  readonly legacy: unknown
  readonly #context: SourceContext
  readonly #arena: DatagramArena
  readonly #sockets: readonly DatagramSocket[]
  /** By socket: index in the registry of encapsulations. */
  readonly #encapsulations: readonly number[]
  readonly #poller: Poller
  readonly #napping: Int32Array = new Int32Array(new SharedArrayBuffer(4))
  readonly #mayNap: boolean
  #next = 0
  /** Turns of sockets in a row that did not fill what was asked for: as many as there are sockets, and all have been emptied. */
  #shortTurns = 0

  constructor(plan: SourcePlan, context: SourceContext) {
    this.#context = context
    this.#arena = new DatagramArena(context.memory, context.byteOffset, BATCH_ROWS, context.peers !== undefined)
    const open = openSockets(plan)
    const sockets = open.map(({ socket }) => socket)
    this.#sockets = sockets
    this.#encapsulations = open.map(({ encapsulation }) => encapsulation)
    this.legacy = legacyOf(open)
    if (plan.share?.worker === 0) this.group = sharedOf(open)
    this.#poller = new Poller(sockets.map((socket) => socket.fd))
    const smallest = Math.min(...sockets.map((socket) => socket.receiveBufferBytes))
    this.#mayNap = smallest >= BUFFER_FOR_NAPS
    this.description = open.map(({ socket, port, encapsulation }) =>
      describeListener(socket.address, port, encapsulation),
    )
    const warning = bufferWarning('udp', plan.buffer, smallest)
    this.warnings = warning === undefined ? [] : [warning]
  }

  receive(batch: FrameBatch, maxRows: number, milliseconds: number): number {
    if (this.#mayNap && this.#shortTurns >= this.#sockets.length && milliseconds > 0) {
      Atomics.wait(this.#napping, 0, 0, NAP_MS)
      this.#shortTurns = 0
    }
    let count = this.#receiveAny(batch, maxRows)
    if (count === 0 && milliseconds > 0 && this.#poller.wait(milliseconds) > 0) count = this.#receiveAny(batch, maxRows)
    if (count === 0) this.#shortTurns = 0
    return count
  }

  mayWrite(): boolean {
    if (!this.#mayNap || this.#shortTurns > 0) return this.#mayNap
    for (const socket of this.#sockets) if (!socket.isHalfFree) return false
    return true
  }

  kernelDrops(): number {
    let drops = 0
    for (const socket of this.#sockets) drops += socket.kernelDrops()
    return drops
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
  }

  /** From the first socket that has something, beginning behind the one that had the last turn. */
  #receiveAny(batch: FrameBatch, maxRows: number): number {
    for (let turn = 0; turn < this.#sockets.length; turn++) {
      const index = this.#next
      this.#next = index + 1 === this.#sockets.length ? 0 : index + 1
      const count = this.#sockets[index]!.receive(this.#arena, batch, maxRows)
      this.#shortTurns = count < maxRows ? this.#shortTurns + 1 : 0
      if (count > 0) {
        batch.count = count
        labelRows(batch, this.#encapsulations[index]!, this.#arena.names, this.#context.peers)
        return count
      }
    }
    batch.count = 0
    return 0
  }
}

export const udpSource: SourceType = {
  engine: 'udp',
  outerHeaders: false,
  canShare: ({ encapsulation }) => isShareable(encapsulation),
  drain: 'arrived',
  batchRows: BATCH_ROWS,
  slabBytes: () => DatagramArena.bytesFor(BATCH_ROWS),
  open(plan, context) {
    const reason = systemCallsUnavailable()
    if (reason !== undefined) {
      throw new Failure(EXIT_UNAVAILABLE, `The udp engine cannot run: ${reason}`, 'Use --engine dgram.')
    }
    return new UdpSource(plan, context)
  },
}
