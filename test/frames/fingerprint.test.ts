import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fingerprint } from '../../src/frames/fingerprint.ts'
import { requires } from '../support/requirements.ts'
import { corpusOf, cut, ethernetFrames, goldenFiles, plainFiles } from './corpus.ts'
import { frameOf, words } from './flow-frames.ts'

const LINKTYPE_ETHERNET = 1
const LINKTYPE_RAW = 101
const SEED = 0x12345678
const ROOM = 64

interface Taken {
  readonly tunnelId?: number
  readonly linkType?: number
  readonly wireLength?: number
  readonly surroundings?: number
}

/** Of a frame in the middle of other bytes, at an odd place. */
function of(bytes: Uint8Array, taken: Taken = {}): string {
  const memory = new Uint8Array(bytes.length + 2 * ROOM + 1).fill(taken.surroundings ?? 0xa5)
  memory.set(bytes, ROOM + 1)
  const fingerprint = new Fingerprint(new DataView(memory.buffer), memory, SEED)
  const { wireLength = bytes.length, linkType = LINKTYPE_ETHERNET, tunnelId = 7 } = taken
  fingerprint.take(ROOM + 1, bytes.length, wireLength, linkType, tunnelId)
  return `${fingerprint.low} ${fingerprint.high}`
}

const PAYLOAD = [...Buffer.from('the same all the way')]
const PACKETS: readonly (readonly [string, Uint8Array, number])[] = [
  ['TCP', frame4(6, [...words(1000, 443, 1, 2, 3, 4), 0x50, 0x18, ...words(512, 0xaaaa, 0), ...PAYLOAD]), 34 + 16],
  ['UDP', frame4(17, [...words(1000, 53, 28, 0xaaaa), ...PAYLOAD]), 34 + 6],
  ['ICMP', frame4(1, [8, 0, ...words(0xaaaa, 1, 2), ...PAYLOAD]), 34 + 2],
  [
    'TCP over IPv6',
    frame6(6, [...words(1000, 443, 1, 2, 3, 4), 0x50, 0x18, ...words(512, 0xaaaa, 0), ...PAYLOAD]),
    54 + 16,
  ],
  ['UDP over IPv6', frame6(17, [...words(1000, 53, 28, 0xaaaa), ...PAYLOAD]), 54 + 6],
  ['ICMPv6', frame6(58, [128, 0, ...words(0xaaaa, 1, 2), ...PAYLOAD]), 54 + 2],
]

function frame4(protocol: number, transport: readonly number[]): Uint8Array {
  return frameOf({ protocol, source: '10.0.0.1', destination: '10.0.0.2', transport: Uint8Array.from(transport) })
}

function frame6(protocol: number, transport: readonly number[]): Uint8Array {
  return frameOf({ protocol, source: '2001:db8::1', destination: '2001:db8::2', transport: Uint8Array.from(transport) })
}

/** The bytes of an IP packet that change on its way. */
function changing(bytes: Uint8Array, checksumAt: number): number[] {
  const ip = bytes[12] === 0x08 ? [14 + 8, 14 + 10, 14 + 11] : [14 + 7]
  return [...ip, checksumAt, checksumAt + 1]
}

test.each(PACKETS)(
  '%s: what changes on the way does not count, and every other byte does',
  (_name, bytes, checksumAt) => {
    const known = of(bytes)
    const free = changing(bytes, checksumAt)
    for (let at = 0; at < bytes.length; at++) {
      // The bits that say that it is IPv4 or IPv6 with a header of a certain length make it another packet altogether.
      const changed = Uint8Array.from(bytes)
      changed[at]! ^= at === 0 ? 0x02 : 0x10
      const same = at < 12 || free.includes(at)
      expect({ at, same: of(changed) === known }).toEqual({ at, same })
    }
  },
)

test.each(PACKETS)('%s: tags, padding and the link header do not count', (_name, bytes) => {
  const known = of(bytes)
  const link = [...bytes.subarray(0, 12)]
  const rest = [...bytes.subarray(12)]
  expect(of(Uint8Array.from([...link, 0x81, 0, 0, 7, ...rest]))).toBe(known)
  expect(of(Uint8Array.from([...link, 0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, ...rest]))).toBe(known)
  expect(of(Uint8Array.from([...bytes, 1, 2, 3, 4, 5, 6]))).toBe(known)
  expect(of(bytes.subarray(14), { linkType: LINKTYPE_RAW })).toBe(known)
  expect(of(bytes, { tunnelId: 8 })).not.toBe(known)
})

test.each(PACKETS)('%s: of a frame to a group the link header counts', (_name, bytes) => {
  const group = Uint8Array.from(bytes)
  group[0] = 1
  const tagged = Uint8Array.from([...group.subarray(0, 12), 0x81, 0, 0, 7, ...group.subarray(12)])
  const other = Uint8Array.from(tagged)
  other[15] = 8
  expect(new Set([of(bytes), of(group), of(tagged), of(other)]).size).toBe(4)
})

test('ARP is the same with padding and without; of other frames every byte counts, and the length', () => {
  const arp = Buffer.from(`ffffffffffff0200000000010806${'0001080006040001'}${'02'.repeat(20)}`, 'hex')
  expect(of(Buffer.concat([arp, Buffer.alloc(18)]))).toBe(of(arp))
  const other = Buffer.from(`0180c20000000200000000010026${'42'.repeat(38)}`, 'hex')
  for (let at = 0; at < other.length; at++) {
    const changed = Buffer.from(other)
    changed[at]! ^= 1
    expect({ at, same: of(changed) === of(other) }).toEqual({ at, same: false })
  }
  expect(of(other, { wireLength: 1000 })).not.toBe(of(other))
})

test('nothing is read beyond what was captured', () => {
  const start = fc.constantFrom(...PACKETS.map(([, bytes]) => bytes))
  fc.assert(
    fc.property(start, fc.nat(100), fc.nat(90), fc.nat(255), (bytes, cutAt, at, value) => {
      const changed = Uint8Array.from(bytes)
      if (at < changed.length) changed[at] = value
      const frame = changed.subarray(0, cutAt)
      const wireLength = bytes.length
      expect(of(frame, { surroundings: 0, wireLength })).toBe(of(frame, { surroundings: 0xff, wireLength }))
    }),
    { numRuns: 2000 },
  )
})

async function expectDistinct(files: readonly string[]): Promise<number> {
  const frames = await ethernetFrames(files)
  const corpus = corpusOf([...frames, ...cut(frames)])
  const fingerprint = new Fingerprint(corpus.view, corpus.bytes, SEED)
  const contents = new Map<string, string>()
  corpus.offset.forEach((offset, row) => {
    const [captured, wireLength] = [corpus.captured[row]!, corpus.wireLength[row]!]
    fingerprint.take(offset, captured, wireLength, LINKTYPE_ETHERNET, 0)
    const key = `${fingerprint.low} ${fingerprint.high}`
    const content = essence(corpus.bytes.subarray(offset, offset + captured), wireLength)
    expect(contents.get(key) ?? content).toBe(content)
    contents.set(key, content)
  })
  return contents.size
}

const HOP_BY_HOP = 0

/** A frame without what may differ, said in another way: TTL, hop limit, checksums and what is around IP set to nothing. */
function essence(frame: Uint8Array, wireLength: number): string {
  const bytes = Buffer.from(frame)
  let at = 12
  while (at + 6 <= bytes.length && [0x8100, 0x88a8, 0x9100, 0x9200].includes(bytes.readUInt16BE(at))) at += 4
  const type = at + 2 <= bytes.length ? bytes.readUInt16BE(at) : 0
  const ip = at + 2
  const group = (bytes[0] ?? 0) & 1 ? bytes.toString('hex', 0, ip) : ''
  if (type === 0x0806) return bytes.toString('hex', 0, ip + 28)
  const isIpv4 = type === 0x0800 && bytes.length >= ip + 20
  if (!isIpv4 && !(type === 0x86dd && bytes.length >= ip + 40)) return `${wireLength} ${bytes.toString('hex')}`
  const stated = isIpv4 ? bytes.readUInt16BE(ip + 2) : 40 + bytes.readUInt16BE(ip + 4)
  const headerBytes = isIpv4 ? (bytes[ip]! & 15) * 4 : 40
  if (stated < headerBytes || (isIpv4 && headerBytes < 20) || (!isIpv4 && stated === 40))
    return `${wireLength} ${bytes.toString('hex')}`
  const end = Math.min(bytes.length, ip + stated)
  if (isIpv4) bytes.fill(0, ip + 8, ip + 9).fill(0, ip + 10, ip + 12)
  else bytes[ip + 7] = 0
  let protocol = bytes[ip + (isIpv4 ? 9 : 6)]!
  let transportAt = ip + headerBytes
  if (!isIpv4 && protocol === HOP_BY_HOP && transportAt + 8 <= end) {
    protocol = bytes[transportAt]!
    transportAt += (bytes[transportAt + 1]! + 1) * 8
  }
  const isFirst = !isIpv4 || (bytes.readUInt16BE(ip + 6) & 0x1fff) === 0
  const checksum = { 6: 16, 17: 6, 1: 2, 58: 2 }[protocol]
  const checksumAt = transportAt + (checksum ?? 0)
  if (isFirst && checksum !== undefined && checksumAt + 2 <= end) bytes.fill(0, checksumAt, checksumAt + 2)
  return `${group} ${bytes.toString('hex', ip, end)}`
}

test('frames of the golden captures that differ have different fingerprints', async () => {
  expect(await expectDistinct(goldenFiles())).toBeGreaterThan(100)
})

requires('shared-captures')('frames of ordinary traffic that differ have different fingerprints', async () => {
  expect(await expectDistinct(plainFiles())).toBeGreaterThan(40_000)
})

/** Fingerprints of one frame of no known protocol in which bits are turned over, by a seed of its own. */
function turner(length: number, seed: number): (...bits: number[]) => string {
  const memory = new Uint8Array(length).fill(0x11)
  memory.set([0x88, 0xb5], 12)
  const fingerprint = new Fingerprint(new DataView(memory.buffer), memory, seed)
  const turn = (bit: number): void => {
    memory[bit >> 3]! ^= 1 << (bit & 7)
  }
  return (...bits) => {
    bits.forEach(turn)
    fingerprint.take(0, length, length, LINKTYPE_ETHERNET, 7)
    bits.forEach(turn)
    return `${fingerprint.low} ${fingerprint.high}`
  }
}

const SEEDS = [0, 1, 0x12345678, -1, 0x5bd1e995, 0x7fffffff, 20_000, -559_038_737]

// Whoever knew such bits, whatever the seed, could have a frame taken for a copy of another.
test.each([48, 63])('in a frame of %i bytes, no two bits that are turned over cancel each other out', (length) => {
  for (const seed of SEEDS) {
    const of = turner(length, seed)
    const seen = new Set([of()])
    let tried = 1
    for (let one = 14 * 8; one < length * 8; one++) {
      for (let other = one; other < length * 8; other++, tried++) seen.add(other === one ? of(one) : of(one, other))
    }
    expect(seen.size).toBe(tried)
  }
})

test('nor do a bit and the top bit of the word that follows it in the same lane, in two lanes at once', () => {
  const word = (index: number): number => index * 32
  for (const seed of SEEDS) {
    const of = turner(80, seed)
    for (const lane of [0, 1, 2]) {
      for (let bit = 0; bit < 32; bit++) {
        const first = [word(4 + lane) + bit, word(8 + lane) + 31]
        expect(of(...first, word(5 + lane) + bit, word(9 + lane) + 31)).not.toBe(of())
        expect(of(...first)).not.toBe(of())
      }
    }
  }
})
