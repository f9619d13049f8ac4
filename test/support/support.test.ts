import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { expectBalance, type Report } from './collector.ts'
import { joinedNamespaces, type NamespacePair } from './namespaces.ts'
import { expectedFrames, GOLDEN, goldenCaptures, goldenFrames, tunnelCaptures } from './oracle.ts'
import { requires, SHARED_CAPTURES, unmet } from './requirements.ts'
import { type Frame, framesOf, output } from './tshark.ts'

describe('namespaces', () => {
  const it = requires('root', 'namespaces', 'ethtool')
  let pair: NamespacePair | undefined
  afterEach(() => pair?.dispose())

  it('a pair reaches the other side by IPv4 and IPv6 at once', () => {
    pair = joinedNamespaces()
    expect(pair.left.exec(['ping', '-c1', '-W2', pair.right.ipv4])).toContain(' 0% packet loss')
    expect(pair.right.exec(['ping', '-c1', '-W2', pair.left.ipv6])).toContain(' 0% packet loss')
  })

  it('checksums and segmentation are not left to the cable', () => {
    pair = joinedNamespaces()
    const features = pair.left.exec(['ethtool', '-k', pair.left.device])
    for (const feature of [
      'rx-checksumming',
      'tx-checksumming',
      'tcp-segmentation-offload',
      'generic-segmentation-offload',
      'generic-receive-offload',
      'tx-udp-segmentation',
    ]) {
      expect(features).toMatch(new RegExp(`${feature}: off`))
    }
  })

  it('nothing of a pair is left after dispose, however often it is called', async () => {
    pair = joinedNamespaces()
    const child = pair.left.spawn(['sleep', '1000'])
    const ended = new Promise((resolve) => child.on('exit', (_code, signal) => resolve(signal)))
    pair.dispose()
    pair.dispose()
    expect(await ended).toBe('SIGKILL')
    expect(output('ip', 'netns', 'list')).not.toContain(pair.left.name)
    expect(output('ip', 'netns', 'list')).not.toContain(pair.right.name)
  })
})

describe('framesOf', () => {
  requires(
    'tshark',
    'capinfos',
    'shared-captures',
  )('gives as many packets and bytes as capinfos counts', () => {
    const file = `${SHARED_CAPTURES}/plain/emix.pcap`
    const frames = framesOf(file)
    const counts = output('capinfos', '-T', '-r', '-M', '-c', '-d', file).trim().split('\t')
    const bytes = frames.reduce((sum, frame) => sum + frame.wireLength, 0)
    expect([frames.length, bytes]).toEqual(counts.slice(1).map(Number))
    for (const frame of frames) expect(frame.bytes.length).toBe(2 * frame.captured)
  })

  requires('tshark', 'mergecap')(
    'gives what tshark shows, also of packets that a snap length cut or of several link types',
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'support-'))
      try {
        const mixed = join(folder, 'mixed.pcapng')
        const bare = join(folder, 'bare.pcap')
        output('editcap', '-F', 'nsecpcap', '-T', 'rawip', '-C', '14', `${GOLDEN}kernel-ipv4.pcap`, bare)
        output('mergecap', '-F', 'pcapng', '-w', mixed, bare, `${GOLDEN}snap-length.pcap`)
        const frames = framesOf(mixed)
        expect(frames.length).toBeGreaterThan(10)
        expect(frames.some(({ captured, wireLength }) => captured < wireLength)).toBe(true)
        expect(frames).toEqual(shownByTshark(mixed))
        const [whole, broken] = [readFileSync(mixed), join(folder, 'broken.pcapng')]
        writeFileSync(broken, whole.subarray(0, whole.length - 1))
        expect(() => framesOf(broken)).toThrow('cut short')
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  )
})

function shownByTshark(file: string): Frame[] {
  const lines = output('tshark', '-n', '-r', file, '-T', 'ek', '-x', '-J', 'frame').split('\n')
  return lines
    .filter((line) => line.includes('"layers"'))
    .map((line) => {
      const { frame, frame_raw: bytes } = JSON.parse(line).layers
      const [seconds, nanoseconds] = frame.frame_frame_time_epoch.split('.').map(Number)
      const [captured, wireLength] = [Number(frame.frame_frame_cap_len), Number(frame.frame_frame_len)]
      return { seconds, nanoseconds, captured, wireLength, bytes }
    })
}

const BALANCED: Report = {
  received: 10,
  delivered: 7,
  dropped: { 'bad-flags': 2, filtered: 1 },
  kernelDropped: 0,
  vnis: {},
  sinks: [{ sink: 'pcap:a', written: 4, bytes: 400, dropped: { 'sink-overflow': 3 } }],
}

test('a report that adds up is balanced', () => {
  expectBalance(BALANCED)
})

test.each([
  ['a frame received and not counted again', { ...BALANCED, received: 11 }],
  ['a frame delivered and missing at a sink', { ...BALANCED, sinks: [{ ...BALANCED.sinks[0]!, written: 3 }] }],
])('%s is not balanced', (_name, report) => {
  expect(() => expectBalance(report)).toThrow()
})

test('a need that is met is not among the unmet', () => {
  expect(unmet('linux')).toEqual(process.platform === 'linux' ? [] : ['linux'])
})

requires('shared-captures')('every row of depth 1 in the shared oracles is an expected frame', () => {
  const rows = output('sh', '-c', `cut -f10 ${SHARED_CAPTURES}/*/*.oracle.tsv | grep -c '^1$'`)
  const frames = tunnelCaptures().flatMap(expectedFrames)
  expect(frames.length).toBe(Number(rows))
  for (const frame of frames) expect(frame.sha256).toMatch(/^[0-9a-f]{64}$/)
})

requires('tshark')('the kernel takes out of its golden captures the frames that are expected', () => {
  const names = goldenCaptures().filter((name) => name.startsWith('kernel-'))
  expect(names.length).toBe(5)
  for (const name of names) {
    const inner = framesOf(`${GOLDEN}${name}.inner.pcap`)
    const hashes = inner.map(({ bytes }) => createHash('sha256').update(Buffer.from(bytes, 'hex')).digest('hex'))
    expect(goldenFrames(name).map((frame) => frame.sha256)).toEqual(hashes)
  }
})
