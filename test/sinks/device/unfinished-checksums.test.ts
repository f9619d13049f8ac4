import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect } from 'vitest'
import { UnfinishedChecksums } from '../../../src/sinks/device/unfinished-checksums.ts'
import { joinedNamespaces, type NamespacePair } from '../../support/namespaces.ts'
import { requires } from '../../support/requirements.ts'
import { framesOf } from '../../support/tshark.ts'
import { until } from '../../support/waiting.ts'

let pair: NamespacePair | undefined
let folder = ''
afterEach(() => {
  pair?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** UDP datagrams as the kernel hands them to its network card, seen on the sending interface. */
async function datagrams(offload: 'on' | 'off', address: 'ipv4' | 'ipv6'): Promise<Buffer[]> {
  folder = mkdtempSync(join(tmpdir(), 'checksums-'))
  pair = joinedNamespaces()
  const { left, right } = pair
  left.exec(['ethtool', '-K', left.device, 'tx', offload])
  const file = join(folder, 'seen.pcap')
  const tcpdump = left.spawn(['tcpdump', '-i', left.device, '-U', '--immediate-mode', '-w', file, 'udp'])
  let said = ''
  tcpdump.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await until('tcpdump listens', () => said.includes('listening on'))
  const family = address === 'ipv4' ? 'udp4' : 'udp6'
  const program = `const s=require('dgram').createSocket('${family}');let n=0;(function next(){if(n===5)return s.close();s.send(Buffer.alloc(50+n++),7,'${right[address]}',next)})()`
  left.exec([process.execPath, '-e', program])
  const seen = () => framesOf(file).map(({ bytes }) => Buffer.from(bytes, 'hex'))
  await until(
    'five datagrams were seen',
    () =>
      execFileSync('tcpdump', ['-nr', file], { stdio: ['ignore', 'pipe', 'ignore'] })
        .toString()
        .split('\n').length > 5,
  )
  return seen()
}

requires('root', 'namespaces', 'ip', 'ethtool', 'tcpdump', 'tshark').each([
  ['ipv4', 'on', [false, false, true, false, false]],
  ['ipv6', 'on', [false, false, true, false, false]],
  ['ipv4', 'off', [false, false, false, false, false]],
  ['ipv6', 'off', [false, false, false, false, false]],
] as const)('%s, checksums left to the card: %s; said at the third frame, once', async (address, offload, expected) => {
  const unfinished = new UnfinishedChecksums()
  const frames = await datagrams(offload, address)
  expect(frames.map((frame) => unfinished.look(frame, 0, frame.length))).toEqual(expected)
  // Cut anywhere, it is no reason to fail.
  for (const frame of frames) {
    for (let length = 0; length < frame.length; length++)
      new UnfinishedChecksums().look(frame.subarray(0, length), 0, length)
  }
})
