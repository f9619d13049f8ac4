import { afterEach, expect } from 'vitest'
import { NodeUdpSocket } from '../../src/dgram-extended/node-udp-socket.ts'
import { requires } from '../support/requirements.ts'
import { arenaOf, columnsOf, openSender, pattern, receiveUntil, sendAll } from './support.ts'

const it = requires('linux')
const toClose: { close(): unknown }[] = []

afterEach(async () => {
  for (const socket of toClose.splice(0)) await socket.close()
})

async function pair(receiveBuffer?: number): Promise<[NodeUdpSocket, Awaited<ReturnType<typeof openSender>>]> {
  const options = { address: '127.0.0.1', port: 0 }
  const receiver = await NodeUdpSocket.open(receiveBuffer === undefined ? options : { ...options, receiveBuffer })
  const sender = await openSender('127.0.0.1')
  toClose.push(receiver, sender)
  return [receiver, sender]
}

it('the queue never holds more than receiveBuffer bytes, and every datagram beyond is counted', async () => {
  const [receiver, sender] = await pair(20_000)
  // One after the other, so that the kernel's buffer never overflows: all are handed over, few are kept.
  for (let i = 0; i < 200; i++) {
    await sendAll(sender, receiver, [pattern(1000, i)])
    await receiver.wait(0)
  }
  const received = await receiveUntil(receiver, 200)
  expect(received.map(({ bytes }) => bytes)).toEqual(received.map((_, i) => pattern(1000, i)))
  expect(received.length).toBeGreaterThan(5)
  expect(received.length * 1000).toBeLessThanOrEqual(20_000)
  expect(receiver.kernelDrops()).toBe(200 - received.length)
})

it('empty datagrams weigh something, too', async () => {
  const [receiver, sender] = await pair(20_000)
  await sendAll(sender, receiver, new Array<Buffer>(200).fill(Buffer.alloc(0)))
  const received = await receiveUntil(receiver, 200)
  expect(received.length).toBeLessThan(200)
  expect(receiver.kernelDrops()).toBe(200 - received.length)
})

it('waiting ends at once for a datagram, at its deadline, and when the socket is closed', async () => {
  const [receiver, sender] = await pair()
  expect(await receiver.wait(1)).toBe(false)
  const waiting = receiver.wait(60_000)
  await sendAll(sender, receiver, [pattern(1, 1)])
  expect(await waiting).toBe(true)
  expect(await receiver.wait(60_000)).toBe(true)
  expect(receiver.receive(arenaOf(1), columnsOf(1))).toBe(1)
  const interrupted = receiver.wait(60_000)
  await receiver.close()
  expect(await interrupted).toBe(false)
  expect(await receiver.wait(60_000)).toBe(false)
})

it('what is queued can be received after closing', async () => {
  const [receiver, sender] = await pair()
  await sendAll(sender, receiver, [pattern(77, 1)])
  expect(await receiver.wait(5000)).toBe(true)
  await receiver.close()
  expect(receiver.receive(arenaOf(1), columnsOf(1))).toBe(1)
})

it('waits of which nobody hears any more do not pile up', async () => {
  const [receiver] = await pair()
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const waits = Array.from({ length: 1000 }, () => receiver.wait(50))
  expect(timers() - before).toBeLessThanOrEqual(1)
  expect(await Promise.all(waits)).toEqual(waits.map(() => false))
})
