import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect } from 'vitest'
import { UdpSender, type UdpSenderOptions } from '../../src/dgram-extended/udp-sender.ts'
import { requires } from '../support/requirements.ts'
import { openSender, pattern } from './support.ts'

const it = requires('linux')
const toClose: { close(): unknown }[] = []

afterEach(() => {
  for (const socket of toClose.splice(0)) socket.close()
})

function sender(options: UdpSenderOptions): UdpSender {
  const socket = UdpSender.open(options)
  toClose.push(socket)
  return socket
}

interface Arrived {
  readonly socket: Socket
  readonly port: number
  readonly datagrams: Buffer[]
  readonly from: RemoteInfo[]
}

/** A receiver that is not ours, with what has arrived at it so far. */
async function receiverOn(address: string): Promise<Arrived> {
  const socket = await openSender(address)
  toClose.push(socket)
  const arrived: Arrived = { socket, port: socket.address().port, datagrams: [], from: [] }
  socket.on('message', (datagram, from) => {
    arrived.datagrams.push(datagram)
    arrived.from.push(from)
  })
  return arrived
}

async function until({ socket, datagrams }: Arrived, count: number): Promise<void> {
  const signal = AbortSignal.timeout(10_000)
  while (datagrams.length < count) await once(socket, 'message', { signal })
}

describe.each(['127.0.0.1', '::1'])('to %s', (address) => {
  it('the first of the messages arrive, as long as asked for', async () => {
    const receiver = await receiverOn(address)
    const socket = sender({ address, port: receiver.port })
    expect(socket.messages).toHaveLength(8)
    for (const [i, message] of socket.messages.entries()) message.set(pattern(3000, i))
    expect(socket.send(5, 1234)).toBe(5)
    await until(receiver, 5)
    expect(receiver.datagrams).toEqual([0, 1, 2, 3, 4].map((i) => pattern(3000, i).subarray(0, 1234)))
    expect(socket.send(1, 0)).toBe(1)
    await until(receiver, 6)
    expect(receiver.datagrams[5]).toHaveLength(0)
  })

  it('one message may be as long as UDP allows on loopback', async () => {
    const receiver = await receiverOn(address)
    const socket = sender({ address, port: receiver.port, sendBuffer: 1 << 20 })
    const longest = pattern(65507, 3)
    expect(socket.sendOne(longest)).toBe(true)
    await until(receiver, 1)
    expect(receiver.datagrams[0]!.equals(longest)).toBe(true)
  })

  it('the kernel cuts messages into datagrams of segmentBytes', async () => {
    const receiver = await receiverOn(address)
    const socket = sender({ address, port: receiver.port, segmentBytes: 700 })
    for (const [i, message] of socket.messages.entries()) message.set(pattern(2000, i))
    expect(socket.send(2, 2000)).toBe(2)
    await until(receiver, 6)
    const pieces = [0, 1].flatMap((i) =>
      [0, 700, 1400].map((at) => pattern(2000, i).subarray(at, Math.min(at + 700, 2000))),
    )
    expect(receiver.datagrams).toEqual(pieces)
  })

  it.each([1, 208, 1450, 60_000])(
    'with segments of %i bytes the whole of a message can be sent',
    async (segmentBytes) => {
      const receiver = await receiverOn(address)
      receiver.socket.setRecvBufferSize(1 << 20)
      const socket = sender({ address, port: receiver.port, segmentBytes, sendBuffer: 1 << 20 })
      const length = socket.messages[0]!.length
      expect(length % segmentBytes).toBe(0)
      socket.messages[0]!.set(pattern(length, 5))
      expect(socket.send(1, length)).toBe(1)
      await until(receiver, length / segmentBytes)
      expect(Buffer.concat(receiver.datagrams).equals(pattern(length, 5))).toBe(true)
      expect(receiver.datagrams.every((datagram) => datagram.length === segmentBytes)).toBe(true)
    },
  )

  it('datagrams come from sourcePort', async () => {
    const receiver = await receiverOn(address)
    const free = createSocket(address === '::1' ? 'udp6' : 'udp4').bind(0, address)
    await once(free, 'listening')
    const sourcePort = free.address().port
    free.close()
    await once(free, 'close')
    sender({ address, port: receiver.port, sourcePort }).sendOne(pattern(1, 1))
    await until(receiver, 1)
    expect(receiver.from[0]).toMatchObject({ address, port: sourcePort })
  })
})

it('nobody listening is an error that says so', async () => {
  const free = await openSender('127.0.0.1')
  const { port } = free.address()
  free.close()
  await once(free, 'close')
  const socket = sender({ address: '127.0.0.1', port })
  expect(() => {
    for (let i = 0; i < 2; i++) socket.send(1, 10)
  }).toThrow(/^sendmmsg failed: ECONNREFUSED \(udp to 127\.0\.0\.1 port \d+\)\nNobody listens/)
})

it.each([
  [9, 10],
  [-1, 10],
  [1, 65508],
  [1, -1],
])('%i messages of %i bytes are refused', (count, bytesEach) => {
  const socket = sender({ address: '127.0.0.1', port: 9 })
  expect(() => socket.send(count, bytesEach)).toThrow(RangeError)
})

it.each([0, -1, 1.5, 65508])('segments of %d bytes are refused', (segmentBytes) => {
  expect(() => UdpSender.open({ address: '127.0.0.1', port: 9, segmentBytes })).toThrow(RangeError)
})

it('closing twice is allowed, and sending then is an error', () => {
  const socket = UdpSender.open({ address: '127.0.0.1', port: 9 })
  socket.close()
  socket.close()
  expect(socket.fd).toBe(-1)
  expect(() => socket.send(1, 1)).toThrow('EBADF')
})
