import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { BpfProgram } from '../../src/dgram-extended/bpf-program.ts'
import { closeDescriptor } from '../../src/dgram-extended/libc.ts'
import { type CopyWish, copyProgram } from '../../src/sender/copy-program.ts'
import { openProgram, runProgram } from '../support/bpf-run.ts'
import { headerEndsOf } from '../support/header-ends.ts'
import { GOLDEN, tunnelCaptures } from '../support/oracle.ts'
import { requires, SHARED_CAPTURES } from '../support/requirements.ts'
import { framesOf, output } from '../support/tshark.ts'

const UNSPEC = -1
const STOLEN = 4
const LARGEST_RUN = 3000

const opened: { program: BpfProgram; fd: number }[] = []
afterEach(() => {
  for (const { program, fd } of opened.splice(0)) {
    closeDescriptor(fd)
    program.close()
  }
})

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'copy-program-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function load(wish: CopyWish): number {
  const { name, instructions } = copyProgram(wish)!
  const program = BpfProgram.load(name, instructions)
  const fd = openProgram(program.path)
  opened.push({ program, fd })
  return fd
}

/** Captures where tshark stops in front of a header that is there, or shows one of which a part is missing; and one that is not of Ethernet. */
const UNLIKE = ['hostile.pcap', 'suricata-verify/decode-too-small__test.pcap', 'tcpdump/isis-infinite-loop.pcap']

function leastLength(frame: Buffer, l2: number): number {
  const etherType = frame.readUInt16BE(l2 - 2)
  return l2 + (etherType === 0x0800 ? 20 : etherType === 0x86dd ? 40 : 0)
}

/** Cuts every frame of the captures behind each layer's header, and tells what is not as tshark's dissection asks. */
function compareWithTshark(captures: readonly string[]): { compared: number; wrong: string[] } {
  const all = join(folder, 'all.pcapng')
  output('mergecap', '-a', '-w', all, ...captures)
  const frames = framesOf(all)
  const ends = headerEndsOf(all)
  expect(ends.length).toBe(frames.length)
  const wrong: string[] = []
  let compared = 0
  for (const layer of ['l2', 'l3', 'l4'] as const) {
    const program = load({ headers: layer })
    for (const [i, { bytes }] of frames.entries()) {
      const frame = Buffer.from(bytes, 'hex')
      const result = frame.length > LARGEST_RUN ? undefined : runProgram(program, frame)
      if (result === undefined) continue
      compared++
      // IP is sent with a base header; where that was not asked for, it is blank.
      const [wanted, least] = [ends[i]![layer], leastLength(frame, ends[i]!.l2)]
      const expected = Buffer.alloc(Math.min(Math.max(wanted, least), frame.length))
      frame.copy(expected, 0, 0, wanted)
      if (result.action !== UNSPEC || !result.frame.equals(expected))
        wrong.push(
          `#${i + 1}: ${layer} ends at ${wanted}: ${expected.toString('hex')}, not ${result.frame.toString('hex')}`,
        )
    }
  }
  return { compared, wrong }
}

const withTshark = ['root', 'linux', 'tshark', 'mergecap'] as const

requires(...withTshark)('headers end where tshark sees them end, in the golden captures', () => {
  const captures = readdirSync(GOLDEN).filter((file) => file.endsWith('.pcap') && !UNLIKE.includes(file))
  const { compared, wrong } = compareWithTshark(captures.map((file) => join(GOLDEN, file)))
  expect(wrong).toEqual([])
  expect(compared).toBeGreaterThan(250)
})

requires(...withTshark, 'shared-captures')(
  "headers end where tshark sees them end, in other projects' captures",
  () => {
    const captures = tunnelCaptures().filter((path) => !UNLIKE.includes(path))
    const { compared, wrong } = compareWithTshark(captures.map((path) => join(SHARED_CAPTURES, path)))
    expect(wrong).toEqual([])
    expect(compared).toBeGreaterThan(15_000)
  },
  120_000,
)

requires('root', 'linux', 'editcap', 'mergecap', 'tshark').each([68, 96, 1000, 65_535])(
  'a snap length of %i leaves what editcap leaves',
  (snaplen) => {
    const program = load({ snaplen })
    const [whole, cut] = [join(folder, 'whole.pcapng'), join(folder, `cut-${snaplen}.pcapng`)]
    const captures = ['kernel-vlan', 'fragments', 'outer-tags', 'ipv6-extension-headers']
    output('mergecap', '-a', '-w', whole, ...captures.map((name) => join(GOLDEN, `${name}.pcap`)))
    output('editcap', '-s', String(snaplen), whole, cut)
    const expected = framesOf(cut)
    let compared = 0
    for (const [i, { bytes }] of framesOf(whole).entries()) {
      const result = runProgram(program, Buffer.from(bytes, 'hex'))!
      expect(result.frame.toString('hex')).toBe(expected[i]!.bytes)
      compared++
    }
    expect(compared).toBeGreaterThan(25)
  },
)

requires(
  'root',
  'linux',
  'tshark',
)('of a snap length and a layer, the shorter counts', () => {
  const path = join(GOLDEN, 'kernel-ipv4.pcap')
  for (const [snaplen, l4] of [
    [68, 42],
    [96, 42],
  ] as const) {
    const program = load({ snaplen, headers: 'l4' })
    for (const { bytes } of framesOf(path))
      expect(runProgram(program, Buffer.from(bytes, 'hex'))!.frame.length).toBe(l4)
  }
})

/** Pseudo-random numbers that are the same in every run (Numerical Recipes' linear congruence). */
function numbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 16
  }
}

requires('root', 'linux')('of any bytes at all, a copy is their beginning, and zeroes', () => {
  const next = numbers(7)
  const kinds = ['0800', '86dd', '8100', '88a8', '0806']
  const programs = [load({ headers: 'l2' }), load({ headers: 'l3' }), load({ headers: 'l4', snaplen: 70 })]
  let ran = 0
  for (let i = 0; i < 6000; i++) {
    const frame = Buffer.from(Array.from({ length: 14 + (next() % 150) }, () => next() & 0xff))
    frame.write(kinds[i % kinds.length]!, 12, 'hex')
    // Most of them plausible so far that the walk goes on: a version, few words of header, a protocol that is known.
    if (i % 3 !== 0 && frame.length > 30) {
      frame[14] = kinds[i % kinds.length] === '86dd' ? 0x60 : 0x45 + (next() % 4)
      frame[20] = [0, 6, 17, 43, 44, 51, 58, 60][next() % 8]!
      frame[23] = [1, 6, 17, 132][next() % 4]!
    }
    for (const program of programs) {
      const result = runProgram(program, frame)
      if (result === undefined) continue
      ran++
      expect(result.action).toBe(UNSPEC)
      const same = result.frame.findIndex((byte, at) => byte !== frame[at])
      expect(result.frame.length).toBeLessThanOrEqual(frame.length)
      if (same >= 0) expect(result.frame.subarray(same).every((byte) => byte === 0)).toBe(true)
    }
  }
  expect(ran).toBeGreaterThan(10_000)
})

/** IPv4 and UDP, TCP or another protocol; or IPv6, where addresses have 32 hexadecimal digits. */
function packet(from: string, to: string, ports: readonly [number, number], protocol = 17, fragment = '0000'): Buffer {
  const hex = (value: number) => value.toString(16).padStart(4, '0')
  const rest = `${hex(ports[0])}${hex(ports[1])}`.padEnd(60, '0')
  const next = protocol.toString(16).padStart(2, '0')
  const header =
    from.length === 8 ? `0800450000320001${fragment}40${next}0000${from}${to}` : `86dd60000000001e${next}40${from}${to}`
  return Buffer.from(`020000000001020000000002${header}${rest}`, 'hex')
}

const isSent = (program: number, frame: Buffer) => runProgram(program, frame)!.action !== STOLEN

requires('root', 'linux').each([2, 10, 100])('one flow in %i is sent, both directions together', (sample) => {
  const program = load({ sample })
  const next = numbers(sample)
  const flows = 20_000
  let sent = 0
  for (let i = 0; i < flows; i++) {
    // Neighbouring addresses and ports, as real hosts have them.
    const client = (0x0a000000 + (i >> 6)).toString(16).padStart(8, '0')
    const ports = [32_768 + (i & 63), [53, 80, 443][next() % 3]!] as const
    const there = isSent(program, packet(client, '0a010001', ports, i % 2 === 0 ? 6 : 17))
    const back = isSent(program, packet('0a010001', client, [ports[1], ports[0]], i % 2 === 0 ? 6 : 17))
    expect(there).toBe(back)
    if (there) sent++
  }
  // Five standard deviations of a binomial distribution.
  const deviation = Math.sqrt(flows * (1 / sample) * (1 - 1 / sample))
  expect(Math.abs(sent - flows / sample)).toBeLessThan(5 * deviation)
})

requires('root', 'linux')('flows over IPv6 are chosen by addresses and ports, both directions together', () => {
  const program = load({ sample: 4 })
  let sent = 0
  for (let i = 0; i < 4000; i++) {
    const client = `fd99000000000000000000000000${i.toString(16).padStart(4, '0')}`
    const server = 'fd980000000000000000000000000001'
    const there = isSent(program, packet(client, server, [40_000 + (i % 7), 443], 6))
    expect(isSent(program, packet(server, client, [443, 40_000 + (i % 7)], 6))).toBe(there)
    if (there) sent++
  }
  expect(Math.abs(sent - 1000)).toBeLessThan(5 * Math.sqrt(4000 * 0.25 * 0.75))
})

requires('root', 'linux')('all fragments between two hosts share one fate, whatever their payload starts with', () => {
  const program = load({ sample: 2 })
  for (let i = 0; i < 200; i++) {
    const host = (0x0a000000 + i).toString(16).padStart(8, '0')
    const pieces = ['2000', '2010', '0020'].map((fragment, k) =>
      isSent(program, packet(host, '0a010001', [k * 1000 + i, 53], 17, fragment)),
    )
    expect(new Set(pieces).size).toBe(1)
  }
})

requires('root', 'linux')('what belongs to no flow is chosen frame by frame', () => {
  const program = load({ sample: 10 })
  const arp = Buffer.from(`ffffffffffff020000000001${'0806'}${'00'.repeat(46)}`, 'hex')
  const sent = Array.from({ length: 10_000 }, () => isSent(program, arp)).filter(Boolean).length
  expect(Math.abs(sent - 1000)).toBeLessThan(5 * Math.sqrt(10_000 * 0.1 * 0.9))
})

test('without a wish there is no program; else its name says the wish and fits the kernel', () => {
  expect(copyProgram({})).toBeUndefined()
  expect(copyProgram({ sample: 1 })).toBeUndefined()
  expect(copyProgram({ snaplen: 96 })?.name).toBe('c96')
  expect(copyProgram({ headers: 'l3', sample: 10 })?.name).toBe('l3s10')
  const longest = copyProgram({ snaplen: 65_535, headers: 'l4', sample: 999_999 })!.name
  expect(longest).toBe('c65535l4s999999')
  expect(longest.length).toBeLessThan(16)
})
