import { execFileSync, spawn } from 'node:child_process'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect } from 'vitest'
import { requires } from '../support/requirements.ts'
import { framesOf } from '../support/tshark.ts'

const SOURCE = new URL('reference/receiver.c', import.meta.url).pathname
const FRAME = '020000000002 020000000001 0800 4500001c 00004000 4011 b6b4 c0000201 c6336401 9c40 c350 0008 0000'
/** RFC 7348 section 5, by hand: two that are wanted, then each reason to refuse one. */
const DATAGRAMS = [
  `08000000 00006400 ${FRAME}`,
  `ff00ffff 000064ff ${FRAME} 00112233`,
  `00000000 00006400 ${FRAME}`,
  `08000000 00006500 ${FRAME}`,
  '08000000 000064',
].map((hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex'))

const it = requires('gcc', 'root', 'linux', 'tshark')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bench-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

it('the C receiver writes the frames of its VNI and counts each other datagram', async () => {
  const binary = join(folder, 'receiver')
  execFileSync('gcc', ['-O2', '-std=c11', '-Wall', '-Wextra', '-Werror', '-o', binary, SOURCE])
  const file = join(folder, 'received.pcap')
  const taken = await bound()
  const { port } = taken.address()
  taken.close()
  const receiver = spawn(binary, [String(port), '100', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  const sender = await bound()
  try {
    const ended = once(receiver, 'close')
    let stdout = ''
    receiver.stdout.on('data', (text) => {
      stdout += text
    })
    await once(receiver.stderr, 'data')
    const before = Date.now() / 1000
    for (const datagram of DATAGRAMS) await new Promise((resolve) => sender.send(datagram, port, '127.0.0.1', resolve))
    receiver.kill('SIGTERM')
    expect(await ended).toEqual([0, null])
    expect(JSON.parse(stdout)).toMatchObject({
      received: 5,
      written: 2,
      badFlags: 1,
      otherVni: 1,
      shortHeader: 1,
      truncated: 0,
      kernelDropped: 0,
    })
    const frames = framesOf(file)
    expect(frames.map(({ bytes }) => bytes)).toEqual(DATAGRAMS.slice(0, 2).map((d) => d.toString('hex', 8)))
    for (const { seconds } of frames) expect(Math.abs(seconds - before)).toBeLessThan(2)
  } finally {
    receiver.kill('SIGKILL')
    sender.close()
  }
})
