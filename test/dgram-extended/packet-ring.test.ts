import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { afterEach, expect } from 'vitest'
import { libc } from '../../src/dgram-extended/libc.ts'
import { PacketRing } from '../../src/dgram-extended/packet-ring.ts'
import { Poller } from '../../src/dgram-extended/poller.ts'
import { allocateSharedMemory, openSharedMemory } from '../../src/dgram-extended/shared-memory.ts'
import { SocketFilter } from '../../src/dgram-extended/socket-filter.ts'
import { requires } from '../support/requirements.ts'
import { columnsOf, pattern, sendAll } from './support.ts'

const it = requires('linux', 'root')

const BLOCK = 1 << 17
const BLOCKS = 4
const OFFSET = 8192
const ROWS = 64
/** From the network header on: IPv4 without options, UDP. */
const HEADERS = 28

const rings: PacketRing[] = []
const sockets: Socket[] = []
afterEach(() => {
  for (const ring of rings.splice(0)) ring.close()
  for (const socket of sockets.splice(0)) socket.close()
})

/** UDP over IPv4 to that port, to this host. */
function toPort(port: number): SocketFilter {
  const refused = Symbol('refused')
  const filter = new SocketFilter()
    .load(4, 0xffff_f004)
    .ifNotEqual(0, refused)
    .load(4, 0xffff_f000)
    .ifNotEqual(0x0800, refused)
  filter.load(1, 9).ifNotEqual(17, refused).measureIpv4Header(0).loadBehindHeader(2, 2).ifNotEqual(port, refused)
  return filter.accept().label(refused).reject()
}

function open(filter: SocketFilter): { ring: PacketRing; memory: ArrayBufferLike; bytes: Uint8Array } {
  const memory = openSharedMemory(allocateSharedMemory(OFFSET + BLOCKS * BLOCK + 4096))
  const bytes = new Uint8Array(memory)
  bytes.fill(0xa5)
  const place = { memory, byteOffset: OFFSET, blocks: BLOCKS, blockBytes: BLOCK }
  const ring = PacketRing.open({ ...place, retireMs: 5, rows: ROWS, filter })
  rings.push(ring)
  return { ring, memory, bytes }
}

/** A socket that takes what the ring has seen, and one that sends. */
async function pair(): Promise<{ port: number; sender: Socket }> {
  const [target, sender] = [createSocket('udp4'), createSocket('udp4')]
  for (const socket of [target, sender]) {
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    sockets.push(socket)
  }
  return { port: target.address().port, sender }
}

it('brings packets from their network header on, in the memory it was given', async () => {
  const { port, sender } = await pair()
  const { ring, bytes } = open(toPort(port))
  const datagrams = [1, 200, 60_000].map((length) => pattern(length, length))
  await sendAll(sender, { address: '127.0.0.1', port }, datagrams)
  const columns = columnsOf(ROWS)
  const got: string[] = []
  while (got.length < 3 && new Poller([ring.fd]).wait(5000) > 0) {
    const count = ring.receive(columns, ROWS)
    for (let i = 0; i < count; i++) {
      const start = columns.offset[i]!
      expect(start).toBeGreaterThan(OFFSET)
      expect(columns.captured[i]).toBe(columns.wireLength[i])
      got.push(Buffer.from(bytes.slice(start + HEADERS, start + columns.captured[i]!)).toString('hex'))
      expect(Math.abs(columns.seconds[i]! - Date.now() / 1000)).toBeLessThan(60)
    }
  }
  expect(got).toEqual(datagrams.map((datagram) => datagram.toString('hex')))
  // Around its place the memory is untouched.
  expect(
    [...bytes.subarray(0, OFFSET), ...bytes.subarray(OFFSET + BLOCKS * BLOCK)].every((byte) => byte === 0xa5),
  ).toBe(true)
})

it('leaves alone what was received until the next call, however much arrives; what finds no room is counted', async () => {
  const { port, sender } = await pair()
  const { ring, bytes } = open(toPort(port))
  const columns = columnsOf(ROWS)
  await sendAll(sender, { address: '127.0.0.1', port }, [pattern(1000, 1)])
  expect(new Poller([ring.fd]).wait(5000)).toBe(1)
  expect(ring.receive(columns, ROWS)).toBe(1)
  const held = (): string =>
    Buffer.from(bytes.slice(columns.offset[0]!, columns.offset[0]! + columns.captured[0]!)).toString('hex')
  const before = held()
  const flood = Array.from({ length: 1000 }, () => pattern(1000, 2))
  await sendAll(sender, { address: '127.0.0.1', port }, flood)
  expect(held()).toBe(before)
  const drops = ring.kernelDrops()
  expect(drops).toBeGreaterThan(0)
  expect(ring.freezes()).toBeGreaterThan(0)
  let received = 0
  while (new Poller([ring.fd]).wait(100) > 0) {
    for (let count = ring.receive(columns, ROWS); count > 0; count = ring.receive(columns, ROWS)) received += count
  }
  expect(received + drops).toBe(1000)
  // Given back, it was written again.
  expect(held()).not.toBe(before)
})

it('takes other packets when it gets another filter', async () => {
  const { port, sender } = await pair()
  const { ring } = open(new SocketFilter().reject())
  await sendAll(sender, { address: '127.0.0.1', port }, [pattern(10, 1)])
  ring.setFilter(toPort(port))
  await sendAll(sender, { address: '127.0.0.1', port }, [pattern(20, 1)])
  const columns = columnsOf(ROWS)
  expect(new Poller([ring.fd]).wait(5000)).toBe(1)
  expect([ring.receive(columns, ROWS), columns.captured[0]]).toEqual([1, HEADERS + 20])
})

it('is mapped at its place while it is open, and leaves the memory usable, with no socket in it', () => {
  const { ring, memory, bytes } = open(new SocketFilter().reject())
  const start = libc().address(new Uint8Array(memory, OFFSET)).toString(16)
  const line = (): string | undefined =>
    readFileSync('/proc/self/maps', 'latin1')
      .split('\n')
      .find((each) => each.startsWith(`${start}-`))
  expect(line()).toMatch(/rw-s .*socket:\[\d+\]$/)
  ring.close()
  expect(line() ?? '').not.toContain('socket')
  bytes.fill(7, OFFSET, OFFSET + BLOCKS * BLOCK)
  expect(bytes[OFFSET + 5]).toBe(7)
  ring.close()
  expect([ring.fd, ring.kernelDrops()]).toEqual([-1, 0])
})

it('wants a place that lies on a page', () => {
  const memory = openSharedMemory(allocateSharedMemory(2 * BLOCK))
  const options = {
    memory,
    byteOffset: 512,
    blocks: 1,
    blockBytes: BLOCK,
    retireMs: 5,
    rows: 1,
    filter: new SocketFilter().reject(),
  }
  expect(() => PacketRing.open(options)).toThrow('must lie on a page')
})
