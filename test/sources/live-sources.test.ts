import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect } from 'vitest'
import { EXIT_UNAVAILABLE } from '../../src/config/terms/failure.ts'
import { CidrList } from '../../src/frames/cidr-list.ts'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { PEER_DENIED, PeerTable } from '../../src/frames/peer-table.ts'
import { sourceType } from '../../src/sources/registry.ts'
import type { Listener, Source, SourcePlan } from '../../src/sources/source.ts'
import { LINKTYPE_TUNNEL } from '../../src/wire/link-type.ts'
import { requires } from '../support/requirements.ts'

const it = requires('linux')
const LIMIT_MS = 10_000

const toClose: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of toClose.splice(0)) await each.close()
})

interface Opened {
  readonly source: Source
  readonly batch: FrameBatch
  readonly ports: readonly number[]
}

describe.each(['udp', 'dgram'] as const)('%s', (engine) => {
  async function open(hosts: readonly string[], peers?: PeerTable): Promise<Opened> {
    const type = sourceType(engine)
    const listeners = hosts.map((host): Listener => ({ encapsulation: 0, host, port: 0 }))
    const plan: SourcePlan = { engine, listeners, buffer: 1 << 16 }
    const batch = new FrameBatch(new SharedArrayBuffer(type.slabBytes(plan)), type.batchRows)
    const memory = batch.bytes.buffer
    const source = await type.open(plan, {
      memory,
      byteOffset: 0,
      byteLength: memory.byteLength,
      peers,
      say: notExpected,
    })
    toClose.push(source)
    return { source, batch, ports: source.description.map((text) => Number(/:(\d+) \(vxlan\)$/.exec(text)![1])) }
  }

  /** Receives until so many datagrams have come. */
  async function receive({ source, batch }: Opened, wanted: number): Promise<string[]> {
    const texts: string[] = []
    const started = performance.now()
    while (texts.length < wanted && performance.now() - started < LIMIT_MS) {
      const count = await source.receive(batch, batch.capacity, 50)
      expect(count).toBe(batch.count)
      for (let row = 0; row < count; row++) {
        const start = batch.offset[row]!
        texts.push(Buffer.from(batch.bytes.slice(start, start + batch.captured[row]!)).toString())
        expect([batch.wireLength[row], batch.linkType[row]]).toEqual([batch.captured[row], LINKTYPE_TUNNEL])
      }
    }
    return texts
  }

  it('brings what each of its sockets gets', async () => {
    const opened = await open(['127.0.0.1', '127.0.0.1', '::1'])
    expect(opened.ports.length).toBe(3)
    expect(opened.source.description[2]).toBe(`[::1]:${opened.ports[2]} (vxlan)`)
    const sender4 = sender('udp4')
    const sender6 = sender('udp6')
    await send(sender4, opened.ports[0]!, '127.0.0.1', 'first')
    await send(sender4, opened.ports[1]!, '127.0.0.1', 'second')
    await send(sender6, opened.ports[2]!, '::1', 'third')
    expect((await receive(opened, 3)).sort()).toEqual(['first', 'second', 'third'])
  })

  it('comes back empty when nothing arrives in time', async () => {
    const { source, batch } = await open(['127.0.0.1'])
    batch.count = 7
    const started = performance.now()
    expect([await source.receive(batch, batch.capacity, 30), batch.count]).toEqual([0, 0])
    expect(performance.now() - started).toBeGreaterThanOrEqual(28)
  })

  it('takes no more than it is asked for, and leaves the rest for later', async () => {
    const opened = await open(['127.0.0.1'])
    const socket = sender('udp4')
    for (let i = 0; i < 5; i++) await send(socket, opened.ports[0]!, '127.0.0.1', `${i}`)
    const counts: number[] = []
    const started = performance.now()
    while (counts.reduce((a, b) => a + b, 0) < 5 && performance.now() - started < LIMIT_MS) {
      counts.push(await opened.source.receive(opened.batch, 2, 50))
    }
    expect(counts.reduce((a, b) => a + b, 0)).toBe(5)
    expect(Math.max(...counts)).toBeLessThanOrEqual(2)
  })

  it('tells who sends, where it matters', async () => {
    const peers = new PeerTable(10, new CidrList(['127.0.0.0/8']))
    const opened = await open(['127.0.0.1', '::1'], peers)
    await send(sender('udp4'), opened.ports[0]!, '127.0.0.1', 'a')
    await receive(opened, 1)
    expect(peers.text(opened.batch.peer[0]!)).toBe('127.0.0.1')
    await send(sender('udp6'), opened.ports[1]!, '::1', 'b')
    await receive(opened, 1)
    expect(opened.batch.peer[0]).toBe(PEER_DENIED)
  })

  it('cannot have a port that another has, and leaves none of its own open', async () => {
    const first = await open(['127.0.0.1'])
    const port = first.ports[0]!
    const type = sourceType(engine)
    const free = await freePort()
    const listeners = [free, port].map((each): Listener => ({ encapsulation: 0, host: '127.0.0.1', port: each }))
    const plan: SourcePlan = { engine, listeners, buffer: 1 << 16 }
    const memory = new SharedArrayBuffer(type.slabBytes(plan))
    const context = { memory, byteOffset: 0, byteLength: memory.byteLength, peers: undefined, say: notExpected }
    const open2 = async () => type.open(plan, context)
    await expect(open2()).rejects.toMatchObject({
      exitCode: EXIT_UNAVAILABLE,
      message: expect.stringContaining(`port ${port} is in use`),
    })
    const again = createSocket('udp4')
    again.bind(free, '127.0.0.1')
    await once(again, 'listening')
    again.close()
  })

  it('warns when the kernel grants a smaller buffer than was asked for, and else not of it', async () => {
    const { source } = await open(['127.0.0.1'])
    expect(source.warnings.filter((warning) => warning.includes('Receive buffer'))).toEqual([])
    expect(source.kernelDrops()).toBe(0)
  })
})

function notExpected(text: string): never {
  throw new Error(text)
}

function sender(family: 'udp4' | 'udp6'): Socket {
  const socket = createSocket(family)
  toClose.push(socket)
  return socket
}

async function send(socket: Socket, port: number, host: string, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.send(text, port, host, (error) => (error ? reject(error) : resolve()))
  })
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}
