import { type AddressInfo, connect, createServer } from 'node:net'
import { afterEach, beforeEach, expect } from 'vitest'
import { type Collector, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { requires } from '../support/requirements.ts'
import { TunnelTraffic } from '../support/tunnel-traffic.ts'
import { until } from '../support/waiting.ts'

const it = requires('build', 'linux')

let collector: Collector
let port = 0
let traffic: TunnelTraffic | undefined

beforeEach(async () => {
  collector = await startCollector(['--listen', 'vxlan://127.0.0.1:0', '--out', 'null', '--http', '0'])
  const address = () => /http:\/\/127\.0\.0\.1:(\d+)\//.exec(collector.stderr)?.[1]
  await until('the address is told', () => address() !== undefined)
  port = Number(address())
})
afterEach(async () => {
  traffic?.stop()
  traffic = undefined
  await collector.dispose()
})

async function get(path: string, init?: RequestInit): Promise<Response> {
  return await fetch(`http://127.0.0.1:${port}${path}`, init)
}

async function report(): Promise<Report> {
  return (await (await get('/report')).json()) as Report
}

/** What the server says to these bytes, until it closes or has been silent so long after an answer. */
async function raw(bytes: string): Promise<string> {
  return await new Promise((resolve) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('latin1').on('data', (more: string) => {
      text += more
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}

it('report and metrics have the figures of the traffic that was sent', async () => {
  traffic = await TunnelTraffic.start(collector.ports[0]!, ['127.0.0.2', '127.0.0.3'])
  await until('traffic flows', () => traffic!.sent > 200)
  traffic.stop()
  await until('all of it is there', async () => (await report()).received === traffic!.sent)
  const now = await report()
  expectBalance(now)
  expect(now.dropped).toEqual({ 'bad-flags': traffic.sent / 10 })
  const metrics = await get('/metrics')
  expect(metrics.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const text = await metrics.text()
  expect(text).toContain(`mirror_collector_received_frames_total ${now.received}\n`)
  // 8 bytes of VXLAN header and 200 of payload each; nine tenths are delivered.
  expect(text).toContain(`mirror_collector_received_bytes_total ${now.received * 208}\n`)
  expect(text).toContain(`mirror_collector_delivered_bytes_total ${now.delivered * 200}\n`)
  expect(text).toContain(`mirror_collector_dropped_frames_total{reason="bad-flags"} ${now.received / 10}\n`)
  for (const [vni, frames] of Object.entries(now.vnis)) expect(text).toContain(`{vni="${vni}"} ${frames}\n`)
  const live = (await (await get('/live')).json()) as { peers: { name: string; frames: number }[] }
  expect(live.peers.map(({ name }) => name).sort()).toEqual(['127.0.0.2', '127.0.0.3'])
  expect(live.peers.reduce((sum, { frames }) => sum + frames, 0)).toBe(now.delivered)
  traffic = undefined
})

it('health and readiness', async () => {
  expect([(await get('/healthz')).status, (await get('/readyz')).status]).toEqual([200, 200])
})

it('what a hostile client asks gets 4xx', async () => {
  const status = async (path: string, init?: RequestInit) => (await get(path, init)).status
  expect(await status('/nothing')).toBe(404)
  expect(await status('/metrics', { method: 'POST', body: 'x'.repeat(1 << 20) }).catch(() => 405)).toBe(405)
  expect(await status('/metrics', { method: 'DELETE' })).toBe(405)
  const get11 = (path: string, headers = '') =>
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers}\r\n`
  for (const path of ['/../../etc/passwd', '/..%2f..%2fetc/passwd', '//etc/passwd', '/page.js/..', '/%00', 'http://x/'])
    expect(await raw(get11(path))).toMatch(/^HTTP\/1\.1 404 /)
  expect(await raw(get11('/', `X: ${'a'.repeat(20_000)}\r\n`))).toMatch(/^HTTP\/1\.1 431 /)
  expect(await raw(get11('/healthz').replace('127.0.0.1', 'evil.example'))).toMatch(/^HTTP\/1\.1 421 /)
  expect(await raw('\x16\x03\x01 garbage\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /)
})

it('slow clients and many connections take nothing from the traffic, and are cut off', async () => {
  traffic = await TunnelTraffic.start(collector.ports[0]!, ['127.0.0.1'])
  let closed = 0
  const sockets = Array.from({ length: 300 }, () => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: '))
    socket.resume().on('error', () => {})
    return socket.on('close', () => closed++)
  })
  // Beyond 64 at once, the others when their request has taken too long.
  await until('all are cut off', () => closed === sockets.length, 20_000)
  expect((await get('/healthz')).status).toBe(200)
  traffic.stop()
  await until('nothing is missing', async () => (await report()).received === traffic!.sent)
  expect((await report()).kernelDropped).toBe(0)
  traffic = undefined
})

it('a port in use is said with its option, and leaves nothing behind', () => {
  const { exitCode, lines } = runCommand(['--listen', 'vxlan://127.0.0.1:0', '--out', 'null', '--http', `${port}`])
  expect(exitCode).toBe(69)
  expect(lines[0]).toBe(`mirror-collector: --http: cannot listen on 127.0.0.1:${port}: EADDRINUSE.`)
  expect(lines[1]).toMatch(/choose another port/)
})

it('the health port accepts and closes', async () => {
  const free = await new Promise<number>((resolve) => {
    const probe = createServer().listen(0, () => {
      const { port: chosen } = probe.address() as AddressInfo
      probe.close(() => resolve(chosen))
    })
  })
  const args = ['--listen', 'vxlan://127.0.0.1:0', '--out', 'null', '--health-port', `${free}`]
  const checked = await startCollector(args)
  try {
    const check = () =>
      new Promise<string>((resolve) => {
        const socket = connect(free, '127.0.0.1')
        socket.on('connect', () => socket.resume())
        socket.on('end', () => resolve('accepted and closed'))
        socket.on('error', (error) => resolve(error.message))
      })
    expect(await check()).toBe('accepted and closed')
    expect(await checked.stop()).toBe(0)
    expect(await check()).toMatch(/ECONNREFUSED/)
  } finally {
    await checked.dispose()
  }
})
