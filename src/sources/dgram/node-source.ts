import { setImmediate } from 'node:timers/promises'
import { EXIT_USAGE, Failure } from '../../config/terms/failure.ts'
import { DatagramArena } from '../../dgram-extended/datagram-arena.ts'
import { NodeUdpSocket } from '../../dgram-extended/node-udp-socket.ts'
import type { FrameBatch } from '../../frames/frame-batch.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import type { Source, SourceContext, SourcePlan } from '../source.ts'
import { bufferWarning, describeListener, openFailure, socketAddresses } from '../udp-listeners.ts'
import { labelRows } from '../udp-rows.ts'
import { BATCH_ROWS } from './dgram-source.ts'

const GATHERING_TURNS = 8

interface OpenSocket {
  readonly socket: NodeUdpSocket
  /** Index in the registry of encapsulations. */
  readonly encapsulation: number
}

/** UDP sockets of node:dgram, for systems where the udp engine's calls cannot be made. */
class DgramSource implements Source {
  readonly description: readonly string[]
  readonly warnings: readonly string[]
  readonly #context: SourceContext
  readonly #arena: DatagramArena
  readonly #open: readonly OpenSocket[]
  #next = 0

  constructor(plan: SourcePlan, context: SourceContext, open: readonly OpenSocket[]) {
    this.#context = context
    this.#arena = new DatagramArena(context.memory, context.byteOffset, BATCH_ROWS, context.peers !== undefined)
    this.#open = open
    this.description = open.map(({ socket, encapsulation }) =>
      describeListener(socket.address, socket.port, encapsulation),
    )
    const smallest = Math.min(...open.map(({ socket }) => socket.receiveBufferBytes))
    const warning = bufferWarning('dgram', plan.buffer, smallest)
    this.warnings = [
      'The dgram engine stamps frames when Node.js hands them over, and takes several times the CPU of the udp engine.',
      ...(warning === undefined ? [] : [warning]),
    ]
  }

  receive(batch: FrameBatch, maxRows: number, milliseconds: number): number | Promise<number> {
    const count = this.#receiveAny(batch, maxRows)
    return count > 0 ? count : this.#wait(batch, maxRows, milliseconds)
  }

  kernelDrops(): number {
    let drops = 0
    for (const { socket } of this.#open) drops += socket.kernelDrops()
    return drops
  }

  async close(): Promise<void> {
    for (const { socket } of this.#open) await socket.close()
  }

  async #wait(batch: FrameBatch, maxRows: number, milliseconds: number): Promise<number> {
    if (milliseconds > 0) {
      await Promise.race(this.#open.map(({ socket }) => socket.wait(milliseconds)))
      await this.#gather()
    } else {
      // One whole poll phase of the event loop lies between: it hands over what the kernel has.
      await setImmediate()
      await setImmediate()
    }
    return this.#receiveAny(batch, maxRows)
  }

  /** Node hands over a few datagrams in each turn of its event loop: a batch for each of them would cost more than all the rest. */
  async #gather(): Promise<void> {
    let before = 0
    for (let turn = 0; turn < GATHERING_TURNS; turn++) {
      const waiting = this.#open.reduce((sum, { socket }) => sum + socket.waiting, 0)
      if (waiting === before || waiting >= BATCH_ROWS) return
      before = waiting
      await setImmediate()
    }
  }

  #receiveAny(batch: FrameBatch, maxRows: number): number {
    for (let turn = 0; turn < this.#open.length; turn++) {
      const { socket, encapsulation } = this.#open[this.#next]!
      this.#next = (this.#next + 1) % this.#open.length
      const count = socket.receive(this.#arena, batch, maxRows)
      if (count > 0) {
        batch.count = count
        labelRows(batch, encapsulation, this.#arena.names, this.#context.peers)
        return count
      }
    }
    batch.count = 0
    return 0
  }
}

async function openSockets(plan: SourcePlan): Promise<OpenSocket[]> {
  const other = plan.listeners.find(({ encapsulation }) => ENCAPSULATIONS[encapsulation]!.ipProtocol !== undefined)
  if (other !== undefined) {
    const { name } = ENCAPSULATIONS[other.encapsulation]!
    throw new Failure(
      EXIT_USAGE,
      `The dgram engine has UDP sockets only, and ${name}:// is an IP protocol of its own.`,
      'Use --engine udp, or have the senders put it into UDP: gre-in-udp://.',
    )
  }
  const open: OpenSocket[] = []
  try {
    for (const { listener, address, optional } of socketAddresses(plan.listeners)) {
      try {
        const socket = await NodeUdpSocket.open({ address, port: listener.port, receiveBuffer: plan.buffer })
        open.push({ socket, encapsulation: listener.encapsulation })
      } catch (error) {
        if (!optional(error)) throw openFailure(error, address, listener)
      }
    }
  } catch (error) {
    for (const { socket } of open) await socket.close()
    throw error
  }
  return open
}

/** Throws Failure. */
export async function openDgram(plan: SourcePlan, context: SourceContext): Promise<Source> {
  return new DgramSource(plan, context, await openSockets(plan))
}
