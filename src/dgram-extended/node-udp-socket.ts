import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import type { DatagramArena } from './datagram-arena.ts'
import { type DatagramColumns, stamp } from './datagram-columns.ts'
import { KernelDrops } from './kernel-drops.ts'
import {
  addressFamily,
  requirePort,
  requireScope,
  SOCKADDR_BYTES,
  scopeOfZone,
  writeScopeId,
  writeSocketAddress,
} from './socket-address.ts'
import { SyscallError } from './syscall-error.ts'
import { readUdpStatistics } from './udp-statistics.ts'

/** Bounds the queue where no size is asked for. */
const DEFAULT_QUEUE_BYTES = 4 * 1024 * 1024

/** What a queued datagram weighs beside its bytes: without it, empty datagrams would fill the memory. */
const OVERHEAD_BYTES = 512

export interface NodeUdpSocketOptions {
  /** IPv4 or IPv6 address in numbers; an IPv6 socket takes no IPv4. */
  readonly address: string
  /** 0 lets the system choose. */
  readonly port: number
  /** Bytes that may wait in this process; the system is asked for a socket buffer of that size, too. Otherwise 4 MiB. */
  readonly receiveBuffer?: number
}

interface QueuedDatagram {
  readonly bytes: Uint8Array
  readonly sender: RemoteInfo
  /** Milliseconds since 1970. */
  readonly arrived: number
}

/**
 * What UdpSocket does, through node:dgram, where its system calls cannot be made: slower, and its times are the clock's when
 * Node hands a datagram over, in milliseconds. It needs the event loop: datagrams arrive only while the program awaits.
 */
export class NodeUdpSocket {
  readonly address: string
  readonly port: number
  /** The socket buffer as the system gives it back; on Linux twice the size asked for. */
  readonly receiveBufferBytes: number
  readonly #socket: Socket
  readonly #limit: number
  readonly #drops: KernelDrops
  #queue: QueuedDatagram[] = []
  #queuedBytes = 0
  #overflow = 0
  #failure: Error | undefined
  #closed: Promise<unknown> | undefined
  #wait: Promise<boolean> | undefined

  private constructor(socket: Socket, receiveBuffer: number | undefined) {
    this.#socket = socket
    this.#limit = receiveBuffer ?? DEFAULT_QUEUE_BYTES
    const { address, port, family } = socket.address()
    this.address = address
    this.port = port
    this.receiveBufferBytes = socket.getRecvBufferSize()
    this.#drops = new KernelDrops(() => (this.#closed ? undefined : listedDrops(address, port, family)))
    socket.on('message', (bytes, sender) => this.#enqueue(bytes, sender))
    socket.on('error', (error) => {
      this.#failure = error
    })
  }

  /** @throws SyscallError, such as EADDRINUSE; TypeError for an address not in numbers; RangeError for a bad port */
  static async open(options: NodeUdpSocketOptions): Promise<NodeUdpSocket> {
    const { address, port, receiveBuffer } = options
    addressFamily(address)
    // Node 20 binds port -1 as 65535 without a word.
    requirePort(port)
    const [, zone] = address.split('%')
    if (zone !== undefined) requireScope(address, zone)
    const ipv6 = isIPv6(address)
    // reuseAddr stays off: on Linux it would let a second collector take the port over, without a word.
    const socket = createSocket({ type: ipv6 ? 'udp6' : 'udp4', ipv6Only: ipv6, reuseAddr: false })
    try {
      socket.bind(port, address)
      await once(socket, 'listening')
      if (receiveBuffer !== undefined) requestBuffer(socket, receiveBuffer)
      return new NodeUdpSocket(socket, receiveBuffer)
    } catch (error) {
      socket.close()
      throw asSyscallError(error, `udp ${address} port ${port}`)
    }
  }

  /** As UdpSocket.receive, from the datagrams that Node has handed over. @throws Error that node:dgram reported */
  receive(arena: DatagramArena, columns: DatagramColumns, maxRows: number = arena.slots): number {
    if (this.#failure !== undefined) throw this.#failure
    const room = Math.min(maxRows, arena.slots, columns.offset.length)
    const taken = this.#queue.splice(0, Math.max(0, room))
    for (const [i, { bytes, sender, arrived }] of taken.entries()) {
      const start = arena.start(i)
      arena.bytes.set(bytes, start)
      columns.offset[i] = start
      columns.captured[i] = bytes.length
      columns.wireLength[i] = bytes.length
      stamp(columns, i, arrived)
      writeSender(arena.names, i * SOCKADDR_BYTES, sender)
      this.#queuedBytes -= bytes.length + OVERHEAD_BYTES
    }
    return taken.length
  }

  /** Datagrams that Node has handed over and receive() has not. */
  get waiting(): number {
    return this.#queue.length
  }

  /**
   * Resolves once a datagram is waiting (true), the time is over, or the socket is closed (false). While one wait goes on,
   * another joins it, whatever time it asks for: waits of which nobody hears any more would pile up otherwise.
   */
  wait(milliseconds: number): Promise<boolean> {
    if (this.#queue.length > 0 || this.#closed || this.#failure !== undefined)
      return Promise.resolve(this.#queue.length > 0)
    this.#wait ??= new Promise((resolve) => {
      const events = ['message', 'error', 'close'] as const
      const done = (): void => {
        clearTimeout(timer)
        for (const event of events) this.#socket.off(event, done)
        this.#wait = undefined
        resolve(this.#queue.length > 0)
      }
      const timer = setTimeout(done, milliseconds)
      for (const event of events) this.#socket.on(event, done)
    })
    return this.#wait
  }

  /** Datagrams lost since opening: those the queue had no room for and, where the system tells, those the kernel had none for. */
  kernelDrops(): number {
    return this.#overflow + this.#drops.total()
  }

  /** Closes the socket; a second call waits for the first. What is still queued can be received. */
  async close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#drops.total()
      this.#closed = once(this.#socket, 'close')
      this.#socket.close()
    }
    await this.#closed
  }

  #enqueue(bytes: Uint8Array, sender: RemoteInfo): void {
    const weight = bytes.length + OVERHEAD_BYTES
    if (this.#queuedBytes + weight > this.#limit) {
      this.#overflow++
      return
    }
    this.#queuedBytes += weight
    this.#queue.push({ bytes, sender, arrived: Date.now() })
  }
}

function listedDrops(address: string, port: number, family: string): number | undefined {
  const sockets = readUdpStatistics(family === 'IPv6' ? 6 : 4)
  return sockets?.find((socket) => socket.port === port && socket.address === address)?.drops
}

function requestBuffer(socket: Socket, bytes: number): void {
  try {
    socket.setRecvBufferSize(bytes)
  } catch {
    // Some systems refuse what is beyond their limit instead of granting the limit; receiveBufferBytes tells what there is.
  }
}

function asSyscallError(error: unknown, subject: string): unknown {
  const { syscall, errno } = error as NodeJS.ErrnoException
  return syscall === undefined || errno === undefined ? error : new SyscallError(syscall, Math.abs(errno), subject)
}

function writeSender(names: Uint8Array, at: number, sender: RemoteInfo): void {
  const [address = '', zone] = sender.address.split('%')
  writeSocketAddress(names, at, address, sender.port)
  // An interface that is gone by now leaves the scope 0: what the network did is no error.
  if (zone !== undefined) writeScopeId(names, at, scopeOfZone(zone))
}
