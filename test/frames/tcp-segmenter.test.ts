import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TcpSegmenter } from '../../src/frames/tcp-segmenter.ts'
import { OwnNamespace } from '../support/own-namespace.ts'
import { requires, unmet } from '../support/requirements.ts'
import { type KernelCase, segmentedByKernel } from './kernel-segments.ts'

const NEEDS = ['root', 'namespaces', 'ip', 'ethtool', 'scapy'] as const
const it = requires(...NEEDS)
const POISON = 0xa5

let namespace: OwnNamespace | undefined
let cases: KernelCase[] = []
beforeAll(() => {
  if (unmet(...NEEDS).length > 0) return
  namespace = new OwnNamespace()
  execFileSync('ip', ['link', 'add', 'sends', 'type', 'veth', 'peer', 'name', 'sees'])
  for (const end of ['sends', 'sees']) {
    execFileSync('ip', ['link', 'set', end, 'addrgenmode', 'none', 'mtu', '2000', 'up'])
    // The kernel then divides frames itself and completes their checksums.
    const offloads = ['tx', 'rx', 'sg', 'tso', 'gso', 'gro'].flatMap((offload) => [offload, 'off'])
    execFileSync('ethtool', ['-K', end, ...offloads], { stdio: 'ignore' })
  }
  cases = segmentedByKernel('sends', 'sees')
}, 60_000)
afterAll(() => namespace?.leave())

interface Divided {
  readonly began: boolean
  readonly segments: string[]
  /** Nothing was written outside of the frame. */
  readonly isTidy: boolean
}

function divide(frame: Buffer, limit: number, { tagBytes = Number.POSITIVE_INFINITY, at = 64 } = {}): Divided {
  const memory = new Uint8Array((at + frame.length + 64 + 3) & ~3).fill(POISON)
  memory.set(frame, at)
  const segmenter = new TcpSegmenter(memory)
  const began = segmenter.begin(at, frame.length, limit, tagBytes)
  const segments: string[] = []
  while (began && segmenter.next()) {
    segments.push(Buffer.from(memory.subarray(segmenter.offset, segmenter.offset + segmenter.length)).toString('hex'))
  }
  const around = Buffer.concat([memory.subarray(0, at), memory.subarray(at + frame.length)])
  return { began, segments, isTidy: around.every((byte) => byte === POISON) }
}

it('segments are those that the kernel makes, at every alignment, whether checksums were left to the card or not', () => {
  expect(cases.length).toBe(150)
  for (const [i, { unfinished, finished, longest, segments, description }] of cases.entries()) {
    expect(segments.length, description).toBeGreaterThan(1)
    for (const frame of [unfinished, finished]) {
      const divided = divide(Buffer.from(frame, 'hex'), longest, { at: 64 + (i % 8) })
      expect(divided, description).toEqual({ began: true, segments, isTidy: true })
    }
  }
})

it("a wrong checksum is wrong in each segment, and nothing else than the kernel's", () => {
  for (const { finished, longest, segments, tcpAt, description } of cases) {
    const frame = Buffer.from(finished, 'hex')
    const field = tcpAt + 16
    // By 1, modulo 0xffff; never what an unfinished one looks like but by chance.
    frame.writeUInt16BE((frame.readUInt16BE(field) % 0xffff) + 1, field)
    const { segments: wrong } = divide(frame, longest)
    expect(wrong.length).toBe(segments.length)
    for (const [i, text] of wrong.entries()) {
      const ours = Buffer.from(text, 'hex')
      const kernel = Buffer.from(segments[i]!, 'hex')
      expect((kernel.readUInt16BE(field) + 1) % 0xffff, description).toBe(ours.readUInt16BE(field) % 0xffff)
      kernel.writeUInt16BE(ours.readUInt16BE(field), field)
      expect(text).toBe(kernel.toString('hex'))
    }
  }
})

it('VLAN tags that may come on top of the length do not count', () => {
  const tagged = cases.filter(({ networkAt }) => networkAt > 14)
  expect(tagged.length).toBeGreaterThan(5)
  for (const { finished, longest, networkAt } of tagged) {
    const frame = Buffer.from(finished, 'hex')
    const lengths = ({ segments }: Divided) => segments.map((text) => text.length / 2)
    expect(lengths(divide(frame, longest, { tagBytes: 4 }))[0]).toBe(longest + 4)
    expect(lengths(divide(frame, longest))[0]).toBe(longest + networkAt - 14)
  }
})

it('what cannot be divided is left as it is', () => {
  const frames = cases.filter(({ networkAt }) => networkAt === 14)
  const spoilt: [string, (frame: Buffer, one: KernelCase) => Buffer][] = [
    ['cut', (frame) => frame.subarray(0, -1)],
    ['SYN', (frame, { tcpAt }) => with8(frame, tcpAt + 13, 0x02)],
    ['RST', (frame, { tcpAt }) => with8(frame, tcpAt + 13, 0x04)],
    ['a TCP header of 16 bytes', (frame, { tcpAt }) => with8(frame, tcpAt + 12, 0x40)],
    ['not IP', (frame) => with8(frame, 12, 0x88)],
  ]
  for (const one of frames) {
    const frame = Buffer.from(one.finished, 'hex')
    for (const [what, spoil] of spoilt) {
      expect(divide(spoil(Buffer.from(frame), one), one.longest).began, `${what}: ${one.description}`).toBe(false)
    }
    expect(divide(frame, frame.length).began).toBe(false)
    expect(divide(frame, one.headerBytes).began).toBe(false)
    expect(divide(frame, one.headerBytes + 1).segments.length).toBe(frame.length - one.headerBytes)
    if (one.description.startsWith('IPv4')) {
      expect(divide(with8(Buffer.from(frame), 20, 0x20), one.longest).began).toBe(false)
      expect(divide(with8(Buffer.from(frame), 23, 17), one.longest).began).toBe(false)
    }
  }
})

function with8(frame: Buffer, at: number, value: number): Buffer {
  frame[at] = value
  return frame
}

it('the urgent pointer counts from its own segment, and ends with what is urgent (RFC 9293 section 3.8.5)', () => {
  const one = cases.find(({ description, longest, headerBytes }) => {
    return description.startsWith('IPv4') && longest - headerBytes > 100
  })!
  const frame = Buffer.from(one.unfinished, 'hex')
  const segment = one.longest - one.headerBytes
  frame[one.tcpAt + 13] = 0x30
  frame.writeUInt16BE(segment + 7, one.tcpAt + 18)
  const seen = divide(frame, one.longest).segments.map((text) => {
    const bytes = Buffer.from(text, 'hex')
    return [bytes[one.tcpAt + 13]! & 0x20, bytes.readUInt16BE(one.tcpAt + 18)]
  })
  expect(seen.slice(0, 2)).toEqual([
    [0x20, segment + 7],
    [0x20, 7],
  ])
  for (const rest of seen.slice(2)) expect(rest).toEqual([0, 0])
})

test('any bytes: no throw, nothing is written outside of the frame, no segment is longer than it may be', () => {
  const head = fc.constantFrom(
    '02000000000102000000000208004500',
    '020000000001020000000002810000640800450000',
    '02000000000102000000000286dd60000000',
    '',
  )
  fc.assert(
    fc.property(
      head,
      fc.uint8Array({ maxLength: 400 }),
      fc.integer({ min: 1, max: 300 }),
      fc.nat(7),
      (start, rest, limit, shift) => {
        const frame = Buffer.concat([Buffer.from(start, 'hex'), rest])
        const { segments, isTidy } = divide(frame, limit, { tagBytes: 4, at: 64 + shift })
        expect(isTidy).toBe(true)
        for (const text of segments) expect(text.length / 2).toBeLessThanOrEqual(limit + 4)
      },
    ),
    { numRuns: 3000 },
  )
})
