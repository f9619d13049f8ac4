import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { afterEach, expect } from 'vitest'
import { Poller } from '../../src/dgram-extended/poller.ts'
import { UdpSocket } from '../../src/dgram-extended/udp-socket.ts'
import { requires } from '../support/requirements.ts'
import { arenaOf, columnsOf, openSender, pattern, sendAll } from './support.ts'

const it = requires('linux')
const toClose: { close(): unknown }[] = []

afterEach(() => {
  for (const socket of toClose.splice(0)) socket.close()
})

function receiver(): UdpSocket {
  const socket = UdpSocket.open({ address: '127.0.0.1', port: 0 })
  toClose.push(socket)
  return socket
}

it('says which of several sockets have a datagram, until it is taken', async () => {
  const sockets = [receiver(), receiver(), receiver()]
  const poller = new Poller(sockets.map(({ fd }) => fd))
  const states = (): boolean[] => sockets.map((_, i) => poller.isReady(i))
  expect([poller.wait(0), states()]).toEqual([0, [false, false, false]])
  const sender = await openSender('127.0.0.1')
  toClose.push(sender)
  await sendAll(sender, sockets[1]!, [pattern(10, 1)])
  expect([poller.wait(1000), states()]).toEqual([1, [false, true, false]])
  await sendAll(sender, sockets[2]!, [pattern(0, 1)])
  expect([poller.wait(1000), states()]).toEqual([2, [false, true, true]])
  sockets[1]!.receive(arenaOf(1), columnsOf(1))
  expect([poller.wait(1000), states()]).toEqual([1, [false, false, true]])
})

it('keeps its deadline', () => {
  const poller = new Poller([receiver().fd])
  for (const milliseconds of [0, 1, 20.5, 100]) {
    const started = performance.now()
    expect(poller.wait(milliseconds)).toBe(0)
    const took = performance.now() - started
    expect(took).toBeGreaterThanOrEqual(milliseconds - 0.1)
    expect(took).toBeLessThan(milliseconds + 500)
  }
})

it.each([-1, 60_001, Number.POSITIVE_INFINITY, Number.NaN])('refuses to wait %d ms', (milliseconds) => {
  expect(() => new Poller([]).wait(milliseconds)).toThrow(RangeError)
})

it('tells of a descriptor that was closed, and receiving tells why', () => {
  const socket = receiver()
  const poller = new Poller([socket.fd])
  socket.close()
  expect(poller.wait(0)).toBe(1)
  expect(poller.isReady(0)).toBe(true)
  expect(() => socket.receive(arenaOf(1), columnsOf(1))).toThrow('EBADF')
})

it('a worker thread that waits over and over can be terminated', async () => {
  const program = new URL('poll-forever.ts', import.meta.url).href
  // On Node 20 tsx does nothing for a worker by itself.
  const start = `import('tsx/esm/api').then(({ register }) => (register(), import('${program}')))`
  const worker = new Worker(start, { eval: true, execArgv: [] })
  expect(await once(worker, 'message')).toEqual(['polling'])
  expect(await worker.terminate()).toBe(1)
})

it('a signal ends the wait early, with nothing ready', async () => {
  const program = new URL('poll-once.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', 'tsx', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  let signals: NodeJS.Timeout | undefined
  child.stdout.on('data', (chunk) => {
    said += chunk
    signals ??= setInterval(() => child.kill('SIGUSR2'), 20)
  })
  try {
    await once(child, 'close')
    expect(said).toBe('ready\n0 early\n')
  } finally {
    clearInterval(signals)
    child.kill('SIGKILL')
  }
})
