import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import { memoryInfoDrops } from '../../src/dgram-extended/kernel-drops.ts'
import { IOVEC_LEN, SO_TIMESTAMPNS, SOL_SOCKET, setOption } from '../../src/dgram-extended/libc.ts'
import { UdpSender } from '../../src/dgram-extended/udp-sender.ts'
import { UdpSocket, type UdpSocketOptions } from '../../src/dgram-extended/udp-socket.ts'
import { readUdpStatistics } from '../../src/dgram-extended/udp-statistics.ts'
import { requires } from '../support/requirements.ts'
import { arenaOf, columnsOf, copyRows, openSender, pattern, receiveUntil, sendAll } from './support.ts'

const it = requires('linux')
const loopback = { address: '127.0.0.1', port: 0 }
const toClose: { close(): unknown }[] = []

afterEach(() => {
  for (const socket of toClose.splice(0)) socket.close()
})

function opened<T extends { close(): unknown }>(socket: T): T {
  toClose.push(socket)
  return socket
}

function receiver(options: UdpSocketOptions): UdpSocket {
  return opened(UdpSocket.open(options))
}

requires(
  'linux',
  'tcpdump',
  'root',
)('times of arrival are those that tcpdump writes down', async () => {
  const socket = receiver(loopback)
  const sender = opened(await openSender('127.0.0.1'))
  const folder = mkdtempSync(join(tmpdir(), 'times-'))
  const file = join(folder, 'lo.pcap')
  const filter = ['udp', 'dst', 'port', `${socket.port}`]
  const tcpdump = spawn('tcpdump', ['-i', 'lo', '-j', 'host', '--nano', '-U', '-c', '20', '-w', file, ...filter])
  try {
    const exited = once(tcpdump, 'close')
    let said = ''
    for await (const chunk of tcpdump.stderr) {
      said += chunk
      if (said.includes('listening on')) break
    }
    await sendAll(
      sender,
      socket,
      Array.from({ length: 20 }, (_, i) => pattern(200, i)),
    )
    const times = (await receiveUntil(socket, 20)).map(({ nanoseconds }) => nanoseconds)
    await exited
    const shown = spawnSync('tcpdump', ['-r', file, '-n', '-tt', '--nano'], { encoding: 'utf8' }).stdout
    const captured = shown.match(/^\d+\.\d{9}/gm)!.map((time) => BigInt(time.replace('.', '')))
    expect(captured).toHaveLength(20)
    expect(times).toEqual(captured)
  } finally {
    tcpdump.kill()
    rmSync(folder, { recursive: true })
  }
})

it("without the kernel's time the clock's is taken", async () => {
  const socket = receiver(loopback)
  setOption(socket.fd, SOL_SOCKET, SO_TIMESTAMPNS, 0, 'test')
  const sender = opened(await openSender('127.0.0.1'))
  const before = Date.now()
  await sendAll(sender, socket, [pattern(10, 1), pattern(10, 2)])
  for (const { nanoseconds } of await receiveUntil(socket, 2)) {
    expect(Number(nanoseconds / 1_000_000n)).toBeGreaterThanOrEqual(before)
    expect(Number(nanoseconds / 1_000_000n)).toBeLessThanOrEqual(Date.now())
  }
})

it('one arena serves sockets of both families in turn, with times and without', async () => {
  const [arena, columns] = [arenaOf(2), columnsOf(2)]
  const [four, six] = [receiver(loopback), receiver({ address: '::1', port: 0 })]
  setOption(four.fd, SOL_SOCKET, SO_TIMESTAMPNS, 0, 'test')
  for (const socket of [four, six, four, six]) {
    const sender = opened(await openSender(socket.address))
    await sendAll(sender, socket, [pattern(10, 1)])
    expect(socket.receive(arena, columns)).toBe(1)
    const [{ address, port, nanoseconds } = { nanoseconds: 0n }] = copyRows(arena, columns, 1)
    expect({ address, port }).toEqual({ address: socket.address, port: sender.address().port })
    // Only the clock's time is in whole milliseconds.
    expect(nanoseconds % 1_000_000n === 0n).toBe(socket === four)
  }
})

it('a datagram that the kernel cut is counted, and tells how long it was', async () => {
  const socket = receiver(loopback)
  const sender = opened(await openSender('127.0.0.1'))
  await sendAll(sender, socket, [pattern(500, 1), pattern(50, 2)])
  const [arena, columns] = [arenaOf(2), columnsOf(2)]
  // No datagram is longer than a slot, so this one is made short.
  arena.headers.words[arena.headers.iovecs + IOVEC_LEN] = 100
  expect(socket.receive(arena, columns)).toBe(2)
  const [cut, whole] = copyRows(arena, columns, 2)
  expect(cut!.wireLength).toBe(500)
  expect(cut!.bytes).toEqual(pattern(500, 1).subarray(0, 100))
  expect(whole!.wireLength).toBe(50)
  expect(whole!.bytes).toEqual(pattern(50, 2))
  expect(socket.truncated).toBe(1)
})

it('kernel drops are the same in SO_MEMINFO and in /proc/net/udp, and exact after the last datagram', () => {
  const socket = receiver({ ...loopback, receiveBuffer: 4096 })
  const sender = opened(UdpSender.open({ address: '127.0.0.1', port: socket.port, segmentBytes: 100 }))
  let sent = 0
  for (let i = 0; i < 20; i++) sent += 60 * sender.send(8, 6000)
  expect(sent).toBe(9600)
  const [arena, columns] = [arenaOf(64), columnsOf(64)]
  let received = 0
  for (let count = 1; count > 0; received += count) count = socket.receive(arena, columns)
  expect(received).toBeGreaterThan(0)
  expect(socket.kernelDrops()).toBe(sent - received)
  expect(memoryInfoDrops(socket.fd)).toBe(sent - received)
  const listed = readUdpStatistics(4)!.filter(({ port }) => port === socket.port)
  expect(listed).toMatchObject([{ address: '127.0.0.1', drops: sent - received }])
})

requires('linux', 'root')('the receive buffer may exceed net.core.rmem_max where that is permitted', () => {
  const most = Number(readFileSync('/proc/sys/net/core/rmem_max', 'latin1'))
  const socket = receiver({ ...loopback, receiveBuffer: 2 * most })
  expect(socket.receiveBufferForced).toBe(true)
  expect(socket.receiveBufferBytes).toBe(4 * most)
})

requires('linux', 'namespaces')('without that permission the receive buffer goes up to net.core.rmem_max', () => {
  const most = Number(readFileSync('/proc/sys/net/core/rmem_max', 'latin1'))
  // A user namespace of its own has no CAP_NET_ADMIN over this network namespace.
  const program = new URL('print-receive-buffer.ts', import.meta.url).pathname
  const argv = ['-Ur', process.execPath, '--import', 'tsx', program, `${2 * most}`]
  const { stdout, stderr } = spawnSync('unshare', argv, { encoding: 'utf8' })
  expect(stdout, stderr).toBe(`${2 * most} false\n`)
})

it('the receive buffer is the usual one when none is asked for', () => {
  const socket = receiver(loopback)
  expect(socket.receiveBufferForced).toBe(false)
  expect(socket.receiveBufferBytes).toBe(Number(readFileSync('/proc/sys/net/core/rmem_default', 'latin1')))
})

it('sockets that ask for it share a port, and each sender stays with one of them', async () => {
  const first = receiver({ ...loopback, reusePort: true })
  const second = receiver({ ...loopback, port: first.port, reusePort: true })
  expect(() => UdpSocket.open({ ...loopback, port: first.port })).toThrow(/^bind failed: EADDRINUSE/)
  for (let i = 0; i < 64; i++) {
    const sender = await openSender('127.0.0.1')
    await sendAll(sender, first, [pattern(10, i), pattern(10, i)])
    sender.close()
  }
  const [arena, columns] = [arenaOf(256), columnsOf(256)]
  const ports = [first, second].map((socket) =>
    copyRows(arena, columns, socket.receive(arena, columns)).map(({ port }) => port),
  )
  expect(ports[0]!.length).toBeGreaterThan(0)
  expect(ports[1]!.length).toBeGreaterThan(0)
  expect(ports.flat()).toHaveLength(128)
  expect(ports[0]!.filter((port) => ports[1]!.includes(port))).toEqual([])
})

it('IPv4 and IPv6 sockets can be open on one port', () => {
  const six = receiver({ address: '::', port: 0 })
  const four = receiver({ address: '0.0.0.0', port: six.port })
  expect([six.address, four.address]).toEqual(['::', '0.0.0.0'])
})

it('a socket that cannot be opened leaves no descriptor behind', () => {
  const taken = receiver(loopback)
  const count = (): number => readdirSync('/proc/self/fd').length
  const before = count()
  for (let i = 0; i < 20; i++) {
    expect(() => UdpSocket.open({ ...loopback, port: taken.port })).toThrow('EADDRINUSE')
    expect(() => UdpSocket.open({ address: '192.0.2.1', port: 0 })).toThrow('EADDRNOTAVAIL')
    expect(() => UdpSocket.open({ ...loopback, receiveBuffer: -1 })).toThrow(RangeError)
    expect(() => UdpSender.open({ address: '127.0.0.1', port: 65536 })).toThrow(RangeError)
  }
  expect(count()).toBe(before)
})

it("receiving from a closed socket is an error, not somebody else's datagrams", () => {
  const socket = UdpSocket.open(loopback)
  socket.close()
  expect(() => socket.receive(arenaOf(1), columnsOf(1))).toThrow(/^recvmmsg failed: EBADF/)
})

it('receiving allocates nothing for a datagram', () => {
  const socket = receiver({ ...loopback, receiveBuffer: 4 << 20 })
  const sender = opened(UdpSender.open({ address: '127.0.0.1', port: socket.port, segmentBytes: 200 }))
  const [arena, columns] = [arenaOf(256), columnsOf(256)]
  const perDatagram: number[] = []
  for (let round = 0; round < 40; round++) {
    for (let i = 0; i < 4; i++) sender.send(8, 64 * 200)
    const before = process.memoryUsage().heapUsed
    let received = 0
    for (let count = 1; count > 0; received += count) count = socket.receive(arena, columns)
    perDatagram.push((process.memoryUsage().heapUsed - before) / received)
  }
  // The median: garbage collection makes single rounds negative, compilation makes others large. An object is 24 bytes at least.
  perDatagram.sort((a, b) => a - b)
  expect(Math.abs(perDatagram[20]!)).toBeLessThan(8)
})

it('tells when half of its buffer is taken, as the kernel counts', async () => {
  const socket = receiver({ ...loopback, receiveBuffer: 128 << 10 })
  const sender = opened(await openSender('127.0.0.1'))
  let held = 0
  for (; socket.isHalfFree; held++) {
    expect(held).toBeLessThan(400)
    await sendAll(sender, socket, [pattern(1000, held)])
  }
  // 256 KiB for the kernel, which takes some 2 KiB for each of them.
  expect(held).toBeGreaterThan(20)
  expect(memoryInfoDrops(socket.fd)).toBe(0)
  await receiveUntil(socket, held)
  expect(socket.isHalfFree).toBe(true)
  socket.close()
  expect(socket.isHalfFree).toBe(false)
})
