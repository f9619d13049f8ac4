import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameBatch } from '../../src/frames/frame-batch.ts'
import { type FinishOptions, FinishStep } from '../../src/pipeline/finish.ts'
import { LINKTYPE_ETHERNET } from '../../src/wire/link-type.ts'
import { OK } from '../../src/wire/verdict.ts'
import { requires } from '../support/requirements.ts'
import { hex } from '../wire/bytes.ts'
import { innerFrames } from './inner-frames.ts'

const WHOLE: FinishOptions = { ipFrames: 'ethernet', fixChecksums: false, headers: undefined, snapLength: 262_144 }
const FIX: FinishOptions = { ...WHOLE, fixChecksums: true }
const MEMORY = 4096

interface Finished {
  readonly bytes: string
  readonly captured: number
  readonly wireLength: number
}

/** Finishes one frame that lies at `at` of a memory full of `around`, which must stay as it is. */
function finish(
  options: FinishOptions,
  frame: Uint8Array,
  wireLength = frame.length,
  at = 64,
  around = 0xa5,
): Finished {
  const batch = new FrameBatch(new ArrayBuffer(MEMORY), 1)
  batch.bytes.fill(around)
  batch.bytes.set(frame, at)
  batch.offset[0] = at
  batch.captured[0] = frame.length
  batch.wireLength[0] = wireLength
  batch.linkType[0] = LINKTYPE_ETHERNET
  expect(new FinishStep(options, batch).judge(batch, 0)).toBe(OK)
  const captured = batch.captured[0]!
  const bytes = Buffer.from(batch.bytes.slice(at, at + frame.length)).toString('hex')
  batch.bytes.fill(around, at, at + frame.length)
  expect(batch.bytes.every((byte) => byte === around)).toBe(true)
  expect(batch.offset[0]).toBe(at)
  return { bytes, captured, wireLength: batch.wireLength[0]! }
}

const it = requires('scapy')

describe('checksums', () => {
  it('that were left to the network card become those that scapy computes; sound ones stay', () => {
    let unfinishedFrames = 0
    innerFrames().forEach(({ bytes, unfinished }, number) => {
      if (bytes !== unfinished) unfinishedFrames++
      expect(finish(FIX, hex(unfinished), undefined, 64 + (number % 4)).bytes).toBe(bytes)
      expect(finish(FIX, hex(bytes), undefined, 64 + (number % 4)).bytes).toBe(bytes)
      expect(finish(WHOLE, hex(unfinished)).bytes).toBe(unfinished)
    })
    expect(unfinishedFrames).toBeGreaterThan(400)
  })

  it('that are wrong stay wrong: they were so on the wire', () => {
    for (const { bytes, kind, transport, payload } of innerFrames()) {
      const place = new Map([
        ['tcp', 16],
        ['udp', 6],
        ['sctp', 8],
        ['icmp', 2],
      ]).get(kind)
      if (place === undefined || payload * 2 === bytes.length) continue
      const frame = hex(bytes)
      frame[payload]! ^= 0x40
      frame[transport + place + 1]! ^= 0x01
      const corrupt = Buffer.from(frame).toString('hex')
      expect(finish(FIX, frame).bytes).toBe(corrupt)
    }
  })

  it('of frames whose IP packet was cut are left alone, the header of IPv4, too', () => {
    let withoutHeaderChecksum = 0
    for (const { bytes, unfinished, transport, network, kind } of innerFrames()) {
      if (kind === 'fragment' || kind === 'arp') continue
      if (bytes.slice(2 * network, 2 * transport) !== unfinished.slice(2 * network, 2 * transport))
        withoutHeaderChecksum++
      for (const captured of [bytes.length / 2 - 1, transport + 8, transport, transport - 1, network + 12]) {
        if (captured >= bytes.length / 2) continue
        const cut = finish(FIX, hex(unfinished).subarray(0, captured), bytes.length / 2)
        expect(cut.bytes).toBe(unfinished.slice(0, 2 * captured))
      }
    }
    expect(withoutHeaderChecksum).toBeGreaterThan(50)
  })

  it('of fragments are left alone, the header of IPv4, too', () => {
    const pieces = innerFrames().filter(({ kind }) => kind === 'fragment')
    expect(pieces.length).toBeGreaterThan(150)
    for (const { bytes, network } of pieces) {
      const frame = hex(bytes)
      if (bytes.slice(2 * network, 2 * network + 1) === '4') frame.fill(0, network + 10, network + 12)
      expect(finish(FIX, frame).bytes).toBe(Buffer.from(frame).toString('hex'))
    }
  })

  test('of a UDP datagram over IPv4 without one: it stays without', () => {
    const frame = '020000000002020000000001080045000020000100004011 66ca 0a0000010a000002 00010002000c0000 61626364'
    const text = frame.replaceAll(' ', '')
    expect(finish(FIX, hex(text)).bytes).toBe(text)
  })
})

describe('headers', () => {
  it('end where scapy says they do; the length on the wire stays', () => {
    for (const { bytes, network, transport, payload, fragment, kind } of innerFrames()) {
      const frame = hex(bytes)
      const at = (headers: FinishOptions['headers']) => finish({ ...WHOLE, headers }, frame)
      expect(at('l2')).toEqual({ bytes, captured: network, wireLength: frame.length })
      expect(at('l3')).toEqual({ bytes, captured: transport, wireLength: frame.length })
      const end = fragment && payload > transport ? Math.min(transport + 8, frame.length) : payload
      expect({ kind, ...at('l4') }).toEqual({ kind, bytes, captured: end, wireLength: frame.length })
    }
  })

  it('of a frame that is cut end with it at the latest, and a snap length cuts them, too', () => {
    for (const { bytes } of innerFrames().slice(0, 100)) {
      for (const headers of ['l2', 'l3', 'l4'] as const) {
        const end = finish({ ...WHOLE, headers }, hex(bytes)).captured
        for (let captured = 0; captured < Math.min(end + 4, bytes.length / 2); captured++) {
          const cut = finish({ ...FIX, headers }, hex(bytes).subarray(0, captured), bytes.length / 2)
          expect(cut.captured).toBeLessThanOrEqual(Math.min(captured, end))
        }
        expect(finish({ ...WHOLE, headers, snapLength: 16 }, hex(bytes)).captured).toBe(Math.min(16, end))
      }
    }
  })
})

test('a snap length cuts, and keeps the length on the wire', () => {
  const cut = (captured: number, snapLength: number) =>
    finish({ ...WHOLE, snapLength }, new Uint8Array(captured), 300).captured
  expect([cut(100, 60), cut(100, 100), cut(100, 101), cut(100, 1), cut(0, 1)]).toEqual([60, 100, 100, 1, 0])
  expect(finish({ ...WHOLE, snapLength: 60 }, new Uint8Array(100), 300).wireLength).toBe(300)
})

it('whatever comes, nothing is read or written but the bytes that are there', () => {
  const frames = innerFrames().map(({ unfinished }) => hex(unfinished))
  const change = fc.tuple(fc.nat(120), fc.nat(255))
  const nearly = fc
    .tuple(fc.constantFrom(...frames), fc.array(change, { maxLength: 6 }), fc.nat(1500))
    .map(([frame, changes, length]) => {
      const bytes = frame.slice(0, length)
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
      return bytes
    })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), nearly, nearly), fc.boolean(), (frame, isCut) => {
      const options: FinishOptions = { ...FIX, headers: 'l4' }
      const wireLength = frame.length + (isCut ? 100 : 0)
      const once = finish(options, frame, wireLength, 64, 0x00)
      for (const around of [0x45, 0x60, 0xff]) expect(finish(options, frame, wireLength, 64, around)).toEqual(once)
    }),
    { numRuns: 3000 },
  )
})
