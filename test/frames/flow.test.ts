import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { communityId } from '../../src/frames/community-id.ts'
import { Flow } from '../../src/frames/flow.ts'
import { flowHash } from '../../src/frames/flow-hash.ts'
import { requires } from '../support/requirements.ts'
import { output } from '../support/tshark.ts'
import { corpusOf, ethernetFrames, plainFiles } from './corpus.ts'
import { addressBytes, type FlowOf, frameOf, words } from './flow-frames.ts'

const LINKTYPE_ETHERNET = 1
const LINKTYPE_RAW = 101
const ICMP = [1, 58]

function decoded(bytes: Uint8Array, linkType = LINKTYPE_ETHERNET): Flow {
  const flow = new Flow()
  flow.decode(bytes, 0, bytes.length, linkType)
  return flow
}

function hashOf(bytes: Uint8Array): number {
  return flowHash(decoded(bytes), bytes)
}

const VECTORS = readFileSync(new URL('community-id.tsv', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split('\t') as [string, string, string, string, string, string, string])

test('Community IDs are those of the reference implementation', () => {
  expect(VECTORS.length).toBeGreaterThan(300)
  for (const vector of VECTORS) {
    const [protocol, source, destination, first, second, seed, expected] = vector
    const numbers = first === '-' ? [] : [Number(first), Number(second)]
    const transport = ICMP.includes(Number(protocol)) ? Uint8Array.from(numbers) : words(...numbers)
    const bytes = frameOf({ protocol: Number(protocol), source, destination, transport })
    expect(communityId(decoded(bytes), bytes, Number(seed)), vector.join(' ')).toBe(expected)
    const bare = bytes.subarray(14)
    expect(communityId(decoded(bare, LINKTYPE_RAW), bare, Number(seed)), `raw ${vector.join(' ')}`).toBe(expected)
  }
})

requires('tshark', 'shared-captures')('Community IDs of ordinary traffic are those that tshark shows', async () => {
  const corpus = corpusOf(await ethernetFrames(plainFiles()))
  const folder = mkdtempSync(join(tmpdir(), 'flow-'))
  try {
    const file = join(folder, 'corpus.pcap')
    writeFileSync(file, corpus.file)
    // The flow is the frame's own, not that of a tunnel inside; pieces are looked at one by one.
    const options = ['--enable-protocol', 'communityid', '--disable-protocol', 'teredo', '--disable-protocol', 'pppoes']
    const pieces = ['-o', 'ip.defragment:FALSE', '-o', 'ipv6.defragment:FALSE']
    const shown = output('tshark', '-n', '-r', file, ...options, ...pieces, '-T', 'fields', '-e', 'communityid')
    const flow = new Flow()
    const ours = corpus.offset.map((offset, row) => {
      flow.decode(corpus.bytes, offset, corpus.captured[row]!, LINKTYPE_ETHERNET)
      return communityId(flow, corpus.bytes) ?? ''
    })
    expect(ours).toEqual(shown.trimEnd().split('\n'))
    expect(ours.filter((id) => id !== '').length).toBeGreaterThan(40_000)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

const address4 = fc.ipV4()
const address6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16))
  return groups.join(':')
})
const port = fc.nat(65_535)
const anyFlow = fc.tuple(
  fc.constantFrom(6, 17, 132),
  fc.oneof(fc.tuple(address4, address4), fc.tuple(address6, address6)),
  port,
  port,
)

test('both directions of a flow have one hash and one Community ID, with any tags in front', () => {
  fc.assert(
    fc.property(anyFlow, fc.constantFrom('', '81000007', '88a8000281000007'), (flow, tags) => {
      const [protocol, [source, destination], first, second] = flow
      const there = frameOf({ protocol, source, destination, transport: words(first, second) })
      const back: FlowOf = { protocol, source: destination, destination: source, transport: words(second, first), tags }
      expect(hashOf(frameOf(back))).toBe(hashOf(there))
      expect(communityId(decoded(frameOf(back)), frameOf(back))).toBe(communityId(decoded(there), there))
    }),
  )
})

test('an echo request and its reply are one flow', () => {
  const [source, destination] = ['10.0.0.1', '10.0.0.2']
  const request = frameOf({ protocol: 1, source, destination, transport: Uint8Array.of(8, 0) })
  const reply = frameOf({ protocol: 1, source: destination, destination: source, transport: Uint8Array.of(0, 0) })
  expect(hashOf(reply)).toBe(hashOf(request))
})

test('all pieces of a packet are one flow, that of the addresses', () => {
  const packet = { protocol: 17, source: '10.0.0.1', destination: '10.0.0.2', transport: words(1000, 53, 2000, 0) }
  const [first, last] = [frameOf({ ...packet, fragment: 0x2000 }), frameOf({ ...packet, fragment: 185 })]
  expect(decoded(first)).toMatchObject({ isFragment: true, sourcePort: 1000 })
  expect(decoded(last)).toMatchObject({ isFragment: true, sourcePort: -1 })
  expect(hashOf(last)).toBe(hashOf(first))
  expect(hashOf(frameOf(packet))).not.toBe(hashOf(first))
})

test('what is no IP is told apart by its MAC addresses', () => {
  const arp = Buffer.from('0200000000020200000000010806', 'hex')
  const answer = Buffer.from('0200000000010200000000020806', 'hex')
  const other = Buffer.from('0200000000030200000000010806', 'hex')
  expect(decoded(arp)).toMatchObject({ kind: 'link', protocol: 0x0806 })
  expect(hashOf(answer)).toBe(hashOf(arp))
  expect(hashOf(other)).not.toBe(hashOf(arp))
  expect(communityId(decoded(arp), arp)).toBeUndefined()
  expect(decoded(arp.subarray(0, 13))).toMatchObject({ kind: 'none', addressBytes: 0 })
})

test('hashes spread evenly, whichever part of the flow varies', () => {
  const base = { protocol: 6, source: '10.0.0.1', destination: '10.0.0.2' }
  const series: ((i: number) => Uint8Array)[] = [
    (i) => frameOf({ ...base, transport: words(i, 443) }),
    (i) => frameOf({ ...base, source: `10.1.${i >> 8}.${i & 255}`, transport: words(1000, 443) }),
    (i) => frameOf({ ...base, source: `10.0.${i >> 8}.1`, destination: `10.0.${i >> 8}.2`, transport: words(i, i) }),
  ]
  const [FLOWS, BUCKETS] = [8192, 16]
  for (const frame of series) {
    const buckets = new Array<number>(BUCKETS).fill(0)
    for (let i = 0; i < FLOWS; i++) buckets[Math.floor((hashOf(frame(i)) / 2 ** 32) * BUCKETS)]!++
    // 512 expected, standard deviation 22.
    for (const count of buckets) expect(Math.abs(count - FLOWS / BUCKETS)).toBeLessThan(5 * 22)
  }
})

test('any bytes, cut anywhere, are read within their borders', () => {
  const poisoned = (fill: number, bytes: Uint8Array, captured: number) => {
    const memory = new Uint8Array(captured + 128).fill(fill)
    memory.set(bytes.subarray(0, captured), 64)
    const flow = new Flow()
    flow.decode(memory, 64, captured, LINKTYPE_ETHERNET)
    return { hash: flowHash(flow, memory), id: communityId(flow, memory), kind: flow.kind }
  }
  const ether = fc
    .constantFrom('0800', '86dd', '8100', '0806')
    .map((type) => Buffer.from(`${'02'.repeat(12)}${type}`, 'hex'))
  const frame = fc.tuple(ether, fc.constantFrom(0x45, 0x46, 0x60, 0), fc.uint8Array({ maxLength: 100 }))
  fc.assert(
    fc.property(frame, fc.nat(120), ([link, version, rest], cut) => {
      const bytes = Uint8Array.from([...link, version, ...rest])
      const captured = Math.min(cut, bytes.length)
      expect(poisoned(0xff, bytes, captured)).toEqual(poisoned(0, bytes, captured))
    }),
    { numRuns: 2000 },
  )
})

test('the addresses of the vectors are written as their text says', () => {
  expect([...addressBytes('2001:db8::1')]).toEqual([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
})
