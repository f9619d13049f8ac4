import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { DatagramArena } from '../../src/dgram-extended/datagram-arena.ts'
import type { DatagramColumns } from '../../src/dgram-extended/datagram-columns.ts'
import { NodeUdpSocket } from '../../src/dgram-extended/node-udp-socket.ts'
import { Poller } from '../../src/dgram-extended/poller.ts'
import { addressText, familyAt, portAt, SOCKADDR_BYTES } from '../../src/dgram-extended/socket-address.ts'
import type { UdpSocket } from '../../src/dgram-extended/udp-socket.ts'

export function columnsOf(rows: number): DatagramColumns {
  return {
    offset: new Uint32Array(rows),
    captured: new Uint32Array(rows),
    wireLength: new Uint32Array(rows),
    seconds: new Uint32Array(rows),
    nanoseconds: new Uint32Array(rows),
  }
}

export function arenaOf(slots: number): DatagramArena {
  return new DatagramArena(new SharedArrayBuffer(DatagramArena.bytesFor(slots)), 0, slots)
}

/** A copy of row i. */
export function datagramAt(arena: DatagramArena, columns: DatagramColumns, i: number): Buffer {
  const start = columns.offset[i]!
  return Buffer.from(arena.bytes.slice(start, start + columns.captured[i]!))
}

export interface Received {
  readonly bytes: Buffer
  readonly wireLength: number
  readonly address: string
  readonly port: number
  readonly family: number
  readonly nanoseconds: bigint
}

/** Copies of the `count` rows that the last receive call filled. */
export function copyRows(arena: DatagramArena, columns: DatagramColumns, count: number): Received[] {
  return Array.from({ length: count }, (_, i) => ({
    bytes: datagramAt(arena, columns, i),
    wireLength: columns.wireLength[i]!,
    address: addressText(arena.names, i * SOCKADDR_BYTES),
    port: portAt(arena.names, i * SOCKADDR_BYTES),
    family: familyAt(arena.names, i * SOCKADDR_BYTES),
    nanoseconds: BigInt(columns.seconds[i]!) * 1_000_000_000n + BigInt(columns.nanoseconds[i]!),
  }))
}

/** Waits until a datagram is there, or a moment has passed; node:dgram senders in this thread go on meanwhile. */
export async function waitShortly(receiver: UdpSocket | NodeUdpSocket): Promise<void> {
  if (receiver instanceof NodeUdpSocket) {
    await receiver.wait(20)
    return
  }
  new Poller([receiver.fd]).wait(20)
  await setImmediate()
}

/** Receives until `enough` datagrams are there or lost, and returns copies of those that came. Fails after ten seconds. */
export async function receiveUntil(
  receiver: UdpSocket | NodeUdpSocket,
  enough: number,
  slots = 8,
): Promise<Received[]> {
  const arena = arenaOf(slots)
  const columns = columnsOf(slots)
  const received: Received[] = []
  const deadline = performance.now() + 10_000
  for (;;) {
    const count = receiver.receive(arena, columns)
    received.push(...copyRows(arena, columns, count))
    if (count > 0) continue
    if (received.length + receiver.kernelDrops() >= enough) return received
    if (performance.now() > deadline)
      throw new Error(`${received.length} received and ${receiver.kernelDrops()} lost of ${enough}`)
    await waitShortly(receiver)
  }
}

/** A sender that is not ours: node:dgram, bound on the loopback address of that family. */
export async function openSender(address: string): Promise<Socket> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  socket.bind(0, address)
  await once(socket, 'listening')
  return socket
}

/** Sends them one after the other: each has left before the next is sent. */
export async function sendAll(
  from: Socket,
  to: { address: string; port: number },
  datagrams: readonly Uint8Array[],
): Promise<void> {
  for (const datagram of datagrams)
    await new Promise<void>((resolve, reject) => {
      from.send(datagram, to.port, to.address, (error) => (error ? reject(error) : resolve()))
    })
}

/** Bytes that differ with their place and with `seed`, so that a shifted, cut or foreign datagram shows. */
export function pattern(length: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >>> 8) * 7 + seed * 13) & 0xff))
}
