import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { compileFilter } from '../../src/dgram-extended/libpcap.ts'
import { PEER_DENIED } from '../../src/frames/peer-table.ts'
import { FastPath } from '../../src/pipeline/fast-path.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW, LINKTYPE_TUNNEL } from '../../src/wire/link-type.ts'
import { COLUMNS } from '../fuzz/pipeline-pair.ts'
import { hex } from '../wire/bytes.ts'
import { Line, type LineSettings, type Packet, SPACING } from './line.ts'

/** Nobody knows what that is. */
const LINKTYPE_USER0 = 147
const OUTER_ETHERNET_BYTES = 14
const OUTER_BYTES = 42

interface Lies {
  readonly linkType: number
  readonly encapsulation: number
  readonly outerType: string
  readonly version: string
  readonly total: number
  readonly udp: number
  readonly fragment: number
  readonly protocol: number
  readonly source: string
  readonly port: number
  readonly flags: string
  readonly vni: number
  readonly inner: string
  readonly stated: number
  readonly payload: number
  readonly cut: number
  readonly missing: number
  readonly peer: number
}

function field(value: number, bytes = 2): string {
  return value.toString(16).padStart(2 * bytes, '0')
}

/** The frame that was mirrored, whose own length may lie. */
function innerFrame({ inner, stated, payload }: Lies): string {
  const addresses = '020000000004020000000003'
  const ipv4 = `00${field(Math.max(0, 20 + payload + stated))}00014000401100000a0000030a000004`
  const ipv6 = `0000000${field(Math.max(0, payload + stated))}3b40${'20010db8'.repeat(8)}`
  const header = inner.startsWith('86dd') ? ipv6 : ipv4
  return addresses + inner + header + '5a'.repeat(payload)
}

interface Cut extends Packet {
  /** What the packet was before its end was cut off. */
  readonly whole: Uint8Array
}

/** A packet as the link type has it, whose fields may lie. */
function packet(lies: Lies, number: number): Cut {
  const payload = `${lies.flags}000000${field(lies.vni, 3)}00${innerFrame(lies)}`
  const udpBytes = 8 + payload.length / 2
  const udp = `c000${field(lies.port)}${field(Math.max(0, udpBytes + lies.udp))}0000`
  const lengths = `${lies.version}00${field(Math.max(0, 20 + udpBytes + lies.total))}0001${field(lies.fragment)}`
  const ip = `${lengths}40${field(lies.protocol, 1)}0000${lies.source}0a000002`
  const all = hex(`020000000002020000000001${lies.outerType}${ip}${udp}${payload}`)
  const start =
    lies.linkType === LINKTYPE_ETHERNET ? 0 : lies.linkType === LINKTYPE_TUNNEL ? OUTER_BYTES : OUTER_ETHERNET_BYTES
  const whole = all.subarray(start)
  const bytes = whole.subarray(0, Math.max(0, whole.length - lies.cut))
  const { linkType, encapsulation, peer } = lies
  const wireLength = bytes.length + lies.missing
  return { whole, bytes, wireLength, linkType, encapsulation, peer, second: 1000 + number, nanosecond: number }
}

/** Mostly what the fast path is for, so that each lie is seen by itself. */
function seldom<T>(usual: T, ...lies: fc.Arbitrary<T>[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 12, arbitrary: fc.constant(usual) }, ...lies)
}

/** EtherTypes, and the beginning of what is behind them. */
const INNERS = [
  '080045',
  '86dd6',
  '080046',
  '080044',
  '080065',
  '86dd4',
  '81000001080045',
  '8100000186dd6',
  '81000001080046',
  '8100000181000002080045',
  '91000001080045',
  '92000001080045',
  '88a80001080045',
  '080600',
  '88cc00',
]

/** What the fast path is for. */
const PLAIN: Lies = {
  linkType: LINKTYPE_ETHERNET,
  encapsulation: 0,
  outerType: '0800',
  version: '45',
  total: 0,
  udp: 0,
  fragment: 0,
  protocol: 17,
  source: '0a000001',
  port: 4789,
  flags: '08',
  vni: 7,
  inner: '080045',
  stated: 0,
  payload: 20,
  cut: 0,
  missing: 0,
  peer: 2,
}

const liesFrom = (engine: 'file' | 'udp'): fc.Arbitrary<Lies> =>
  fc.record({
    // A file may say of its link type what it likes.
    linkType:
      engine === 'udp'
        ? fc.constant(LINKTYPE_TUNNEL)
        : fc.constantFrom(LINKTYPE_ETHERNET, LINKTYPE_RAW, LINKTYPE_USER0, LINKTYPE_TUNNEL),
    encapsulation: engine === 'udp' ? seldom(0, fc.constantFrom(1, 2)) : fc.constant(0),
    outerType: seldom('0800', fc.constantFrom('0806', '86dd', '8100')),
    version: seldom('45', fc.constantFrom('46', '44', '65')),
    total: seldom(0, fc.integer({ min: -90, max: 60 })),
    udp: seldom(0, fc.integer({ min: -90, max: 60 })),
    fragment: seldom(0, fc.constantFrom(0x4000, 0x8000)),
    protocol: seldom(17, fc.constantFrom(6, 47, 0)),
    source: seldom('0a000001', fc.constantFrom('0a000105', '0a000009', '0b000001')),
    port: seldom(4789, fc.constantFrom(4788, 0, 65_535)),
    flags: seldom('08', fc.constantFrom('00', '88', 'ff')),
    vni: seldom(7, fc.constantFrom(0, 5, 8, 9, 15, 0xff_ffff)),
    inner: seldom('080045', fc.constantFrom(...INNERS)),
    stated: seldom(0, fc.integer({ min: -60, max: 60 })),
    payload: fc.integer({ min: 0, max: 60 }),
    cut: seldom(0, fc.integer({ min: 0, max: 130 })),
    missing: seldom(0, fc.integer({ min: 0, max: 20 })),
    peer: seldom(2, fc.constant(PEER_DENIED)),
  })

/**
 * What becomes of a batch: the frames that come out, what the batch holds then, and what each counter gains. `rest`: what was
 * cut off the packets lies behind them still, and must not be read.
 */
function outcome(line: Line, packets: readonly Cut[], rest: 'there' | 'gone'): unknown {
  const { batch, counters } = line
  const before = { frames: line.frames.length, counters: new Float64Array(counters.memory).slice(), vnis: line.vnis }
  if (rest === 'there') for (const [row, { whole }] of packets.entries()) batch.bytes.set(whole, row * SPACING)
  // As a tunnel without Ethernet leaves the column behind.
  batch.etherType.fill(0x86dd)
  line.process(packets)
  return {
    frames: line.frames.slice(before.frames).map((frame) => JSON.stringify(frame)),
    columns: (['offset', ...COLUMNS] as const).map((column) => [column, [...batch[column].subarray(0, batch.count)]]),
    counters: [...new Float64Array(counters.memory)].map((count, i) => count - before.counters[i]!),
    vnis: Object.entries(line.vnis).filter(([vni, count]) => count !== before.vnis[vni]),
  }
}

/** It looks at every frame and lets it pass, so that each goes through every step. */
const EVERYTHING = compileFilter('', LINKTYPE_ETHERNET, 1)

describe('there is one unless the steps have more to do', () => {
  const FILE = { engine: 'file', ports: [4789] } as const
  it.each<[string, LineSettings, boolean]>([
    ['nothing asked for', FILE, true],
    ['sockets', { ...FILE, engine: 'udp' }, true],
    ['any port', { engine: 'file' }, true],
    ['what is let in', { ...FILE, wanted: [{ from: 1, to: 1, deny: false }], allowFrom: ['10.0.0.0/8'] }, true],
    ['--snaplen', { ...FILE, snapLength: 60 }, true],
    ['--depth 1', { ...FILE, depth: 1 }, true],
    ['--depth 2', { ...FILE, depth: 2 }, false],
    ['--strict', { ...FILE, strict: true }, false],
    ['--fcs auto', { ...FILE, fcs: 'auto' }, false],
    ['--fcs strip', { ...FILE, fcs: 'strip' }, false],
    ['--fix-checksums', { ...FILE, fixChecksums: true }, false],
    ['--headers l4', { ...FILE, headers: 'l4' }, false],
    ['--filter', { ...FILE, filter: EVERYTHING }, false],
    ['--sample', { ...FILE, sample: 2 }, false],
    ['--dedup', { ...FILE, dedup: 50 }, false],
  ])('%s', async (_, settings, isThere) => {
    expect((await Line.create(settings)).pipeline.hasFastPath).toBe(isThere)
  })
})

describe('the fast path finds what the steps find, whatever the fields say', () => {
  const ways: Record<string, Omit<LineSettings, 'engine'>> = {
    'of all frames': {},
    'of tunnels and senders that are wanted': {
      wanted: [
        { from: 1, to: 1, deny: false },
        { from: 7, to: 8, deny: false },
      ],
      allowFrom: ['10.0.0.0/24'],
    },
    'with a snap length': { snapLength: 60 },
  }
  for (const [name, way] of Object.entries(ways)) {
    it.each(['file', 'udp'] as const)(`${name}, from %s`, async (engine) => {
      const settings: LineSettings = { engine, ports: [4789], ...way }
      const fast = await Line.create(settings)
      const slow = await Line.create({ ...settings, filter: EVERYTHING })
      fc.assert(
        fc.property(fc.array(liesFrom(engine), { minLength: 1, maxLength: 30 }), (batch) => {
          const packets = batch.map(packet)
          expect(outcome(fast, packets, 'there')).toEqual(outcome(slow, packets, 'gone'))
        }),
        { numRuns: 400 },
      )
      expect(fast.frames.length).toBeGreaterThan(500)
      expect(Object.keys(fast.counters.dropped()).length).toBeGreaterThan(2)
    })
  }
})

it('and wherever the packet was cut', async () => {
  const fast = await Line.create({ engine: 'file', ports: [4789] })
  const slow = await Line.create({ engine: 'file', ports: [4789], filter: EVERYTHING })
  for (const inner of INNERS) {
    for (let cut = 0; cut < 100; cut++) {
      const packets = [packet({ ...PLAIN, inner, cut, stated: 40, payload: 20 }, 0)]
      expect([inner, cut, outcome(fast, packets, 'there')]).toEqual([inner, cut, outcome(slow, packets, 'gone')])
    }
  }
})

describe('plain packets do take it', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  /** How many of these rows it takes, once the senders are known. */
  async function taken(lies: readonly Partial<Lies>[], settings: LineSettings): Promise<number> {
    const line = await Line.create(settings)
    const packets = lies.map((each, i) => packet({ ...PLAIN, ...each }, i))
    for (let turn = 0; turn < 2; turn++) line.process(packets)
    const take = vi.spyOn(FastPath.prototype, 'take')
    line.process(packets)
    expect(line.frames).toHaveLength(3 * packets.length)
    return take.mock.results.reduce((sum, { value }) => sum + (value as number), 0)
  }

  it.each<[string, Partial<Lies>[]]>([
    ['of Ethernet', [{}, {}, {}]],
    ['without Ethernet', [{ linkType: LINKTYPE_RAW }, { linkType: LINKTYPE_RAW }]],
    ['with the bit that forbids fragments', [{ fragment: 0x4000 }, { fragment: 0x4000 }]],
    // The three have the same 13 bits of the hash; two of them have a place.
    ['from two senders who share a place', [{ source: '0a000000' }, { source: '0a001055' }, { source: '0a000000' }]],
    ['with IPv6 inside', [{ inner: '86dd6', stated: 0, payload: 40 }]],
    ['with a VLAN tag inside', [{ inner: '81000001080045' }]],
    ['of the largest VNI', [{ vni: 0xff_ffff }]],
  ])('%s', async (_name, lies) => {
    expect(await taken(lies, { engine: 'file', ports: [4789] })).toBe(lies.length)
  })

  it('of sockets', async () => {
    expect(await taken([{ linkType: LINKTYPE_TUNNEL }, { linkType: LINKTYPE_TUNNEL }], { engine: 'udp' })).toBe(2)
  })
})
