import type { Socket } from 'node:dgram'
import { afterEach, describe, expect } from 'vitest'
import { DatagramArena } from '../../src/dgram-extended/datagram-arena.ts'
import type { DatagramColumns } from '../../src/dgram-extended/datagram-columns.ts'
import { AF_INET, AF_INET6 } from '../../src/dgram-extended/libc.ts'
import { NodeUdpSocket } from '../../src/dgram-extended/node-udp-socket.ts'
import { UdpSocket } from '../../src/dgram-extended/udp-socket.ts'
import { requires } from '../support/requirements.ts'
import { arenaOf, columnsOf, copyRows, openSender, pattern, receiveUntil, sendAll, waitShortly } from './support.ts'

const it = requires('linux')

type Receiver = UdpSocket | NodeUdpSocket
interface Options {
  readonly address: string
  readonly port: number
  readonly receiveBuffer?: number
}

const toClose: (Receiver | Socket)[] = []

afterEach(async () => {
  for (const socket of toClose.splice(0)) await socket.close()
})

async function senderOn(address: string): Promise<Socket> {
  const sender = await openSender(address)
  toClose.push(sender)
  return sender
}

describe.each<[string, (options: Options) => Promise<Receiver>]>([
  ['UdpSocket', async (options) => UdpSocket.open(options)],
  ['NodeUdpSocket', (options) => NodeUdpSocket.open(options)],
])('%s', (_name, openOne) => {
  async function receiverOn(options: Options): Promise<Receiver> {
    const receiver = await openOne(options)
    toClose.push(receiver)
    return receiver
  }

  describe.each([
    ['127.0.0.1', AF_INET],
    ['::1', AF_INET6],
  ])('on %s', (address, family) => {
    it.each([0, 1, 199, 2047, 2048, 2049, 9000, 65507])('a datagram of %i bytes arrives whole', async (length) => {
      const receiver = await receiverOn({ address, port: 0 })
      const sender = await senderOn(address)
      const sent = pattern(length, 1)
      const before = BigInt(Date.now() - 1000) * 1_000_000n
      await sendAll(sender, receiver, [sent])
      const [received] = await receiveUntil(receiver, 1)
      expect(received).toMatchObject({ wireLength: length, address, port: sender.address().port, family })
      expect(received!.bytes.equals(sent)).toBe(true)
      expect(received!.nanoseconds).toBeGreaterThan(before)
      expect(received!.nanoseconds).toBeLessThan(before + 11_000_000_000n)
    })

    it('datagrams keep their order, their bytes and their senders over several calls', async () => {
      const receiver = await receiverOn({ address, port: 0, receiveBuffer: 4 << 20 })
      const senders = [await senderOn(address), await senderOn(address)]
      const sent = Array.from({ length: 50 }, (_, i) => pattern((i * 397) % 3000, i))
      for (const [i, datagram] of sent.entries()) await sendAll(senders[i % 2]!, receiver, [datagram])
      const received = await receiveUntil(receiver, 50)
      expect(received.map(({ bytes }) => bytes)).toEqual(sent)
      expect(received.map(({ port }) => port)).toEqual(sent.map((_, i) => senders[i % 2]!.address().port))
      const times = received.map(({ nanoseconds }) => nanoseconds)
      expect(times).toEqual(times.toSorted((a, b) => Number(a - b)))
    })

    it('a second socket on the port is refused with EADDRINUSE', async () => {
      const receiver = await receiverOn({ address, port: 0 })
      await expect(openOne({ address, port: receiver.port })).rejects.toMatchObject({
        code: 'EADDRINUSE',
        syscall: 'bind',
        errno: 98,
      })
    })
  })

  it('lost datagrams are exactly those that were sent and not received', async () => {
    const receiver = await receiverOn({ address: '127.0.0.1', port: 0, receiveBuffer: 16_384 })
    const sender = await senderOn('127.0.0.1')
    // In one turn of the event loop: the fallback cannot read in between.
    const sent = Array.from({ length: 500 }, (_, i) => pattern(1000, i))
    const left = sent.map(
      (datagram) => new Promise((resolve) => sender.send(datagram, receiver.port, receiver.address, resolve)),
    )
    await Promise.all(left)
    const received = await receiveUntil(receiver, 500)
    expect(received.length).toBeGreaterThan(0)
    expect(receiver.kernelDrops()).toBeGreaterThan(0)
    expect(received.length + receiver.kernelDrops()).toBe(500)
    const total = receiver.kernelDrops()
    await receiver.close()
    expect(receiver.kernelDrops()).toBe(total)
  })

  it('a call takes no more rows than it was told, and than the arena and the columns have room for', async () => {
    const receiver = await receiverOn({ address: '127.0.0.1', port: 0 })
    const sender = await senderOn('127.0.0.1')
    const sent = Array.from({ length: 30 }, (_, i) => pattern(100, i))
    await sendAll(sender, receiver, sent)
    const arena = arenaOf(4)
    const [wide, narrow] = [columnsOf(8), columnsOf(2)]
    const received: Buffer[] = []
    const take = (columns: DatagramColumns, limit: number, maxRows?: number): void => {
      const count = receiver.receive(arena, columns, maxRows)
      expect(count).toBeLessThanOrEqual(limit)
      for (const { bytes } of copyRows(arena, columns, count)) received.push(bytes)
    }
    while (received.length < 30) {
      await waitShortly(receiver)
      for (const none of [0, -1, Number.NaN]) take(wide, 0, none)
      take(wide, 3, 3)
      take(wide, 4)
      take(narrow, 2, 100)
    }
    expect(received).toEqual(sent)
    expect(receiver.receive(arena, wide)).toBe(0)
  })

  it('nothing outside the arena is written, and the headroom is free for the caller', async () => {
    const slots = 3
    const before = 4096
    const memory = new SharedArrayBuffer(before + DatagramArena.bytesFor(slots) + 4096)
    const all = new Uint8Array(memory).fill(0x5a)
    const arena = new DatagramArena(memory, before, slots)
    const columns = columnsOf(slots)
    const receiver = await receiverOn({ address: '127.0.0.1', port: 0, receiveBuffer: 4 << 20 })
    const sender = await senderOn('127.0.0.1')
    const sent = [pattern(65507, 1), pattern(65507, 2), pattern(65507, 3)]
    await sendAll(sender, receiver, sent)
    const received: Buffer[] = []
    while (received.length < slots) {
      await waitShortly(receiver)
      const count = receiver.receive(arena, columns)
      for (let i = 0; i < count; i++) all.fill(0xee, columns.offset[i]! - 32, columns.offset[i]!)
      for (const { bytes } of copyRows(arena, columns, count)) received.push(bytes)
    }
    expect(received.map((bytes, i) => bytes.equals(sent[i]!))).toEqual([true, true, true])
    expect(all.subarray(0, before).every((byte) => byte === 0x5a)).toBe(true)
    expect(all.subarray(before + DatagramArena.bytesFor(slots)).every((byte) => byte === 0x5a)).toBe(true)
  })

  it('an arena that is overwritten after a call leaves copies alone and serves the next call', async () => {
    const [arena, columns] = [arenaOf(4), columnsOf(4)]
    const receiver = await receiverOn({ address: '127.0.0.1', port: 0 })
    const sender = await senderOn('127.0.0.1')
    for (const seed of [1, 2]) {
      await sendAll(sender, receiver, [pattern(3000, seed)])
      if (receiver instanceof NodeUdpSocket) expect(await receiver.wait(5000)).toBe(true)
      expect(receiver.receive(arena, columns)).toBe(1)
      const [copy] = copyRows(arena, columns, 1)
      arena.bytes.fill(0xa5)
      arena.names.fill(0xa5)
      for (const column of Object.values(columns)) column.fill(0xa5a5a5a5)
      expect(copy!.bytes.equals(pattern(3000, seed))).toBe(true)
      expect(copy!.port).toBe(sender.address().port)
    }
  })

  it('closing twice is allowed', async () => {
    const receiver = await openOne({ address: '127.0.0.1', port: 0 })
    await receiver.close()
    await receiver.close()
    await (await openOne({ address: '127.0.0.1', port: receiver.port })).close()
  })

  it.each([
    ['localhost', 0, TypeError],
    ['256.0.0.1', 0, TypeError],
    ['127.0.0.1', 65536, RangeError],
    ['127.0.0.1', -1, RangeError],
  ])('address %s port %i is refused', async (address, port, kind) => {
    await expect(openOne({ address, port })).rejects.toThrow(kind)
  })
})
