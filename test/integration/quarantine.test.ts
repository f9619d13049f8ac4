import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { EXIT_CANNOT_CREATE } from '../../src/config/terms/failure.ts'
import { Collector, type CollectorOptions, expectBalance, type Report, startCollector } from '../support/collector.ts'
import { GOLDEN, goldenRejects } from '../support/oracle.ts'
import { outerCapture } from '../support/outer-capture.ts'
import { requires } from '../support/requirements.ts'
import { scapyLines } from '../support/scapy.ts'
import { numberedFrame, numberOf, send } from '../support/sender.ts'
import { fieldsOf, framesOf, output } from '../support/tshark.ts'
import { until } from '../support/waiting.ts'

let folder = ''
let collector: Collector | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarantine-'))
})
afterEach(async () => {
  await collector?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

interface WithQuarantine extends Report {
  quarantine: Report['sinks'][number]
}

/** Every refused packet that is nobody's choice is written, or counted as lost. */
function expectAllKept(report: Report, unwanted = 0): void {
  expectBalance(report)
  const sum = (counts: Record<string, number>) => Object.values(counts).reduce((total, count) => total + count, 0)
  const { written, dropped } = (report as WithQuarantine).quarantine
  expect(written + sum(dropped)).toBe(sum(report.dropped) - unwanted)
}

function sameTime({ seconds, nanoseconds }: { seconds: number; nanoseconds: number }): object {
  return { seconds: seconds + Math.floor(nanoseconds / 1e9), nanoseconds: nanoseconds % 1e9 }
}

async function decap(args: readonly string[], options?: CollectorOptions): Promise<Report> {
  const running = new Collector(['decap', ...args, '--out', 'null'], options)
  collector = running
  expect({ exit: await running.exit(), stderr: running.stderr }).toMatchObject({ exit: 0 })
  return running.report()
}

/** A VXLAN header without its I flag, and a frame that carries a number. */
function refused(number: number): Buffer {
  return Buffer.concat([Buffer.alloc(8), numberedFrame(number, 200)])
}

/** Python that writes a pcap file of packets with their times in microseconds. */
const WRITE_CAPTURE = `
import struct
def write_capture(path, packets):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for time, packet in packets:
            out.write(struct.pack("<IIII", time // 1000000, time % 1000000, len(packet), len(packet)) + packet)
`

/**
 * Twelve datagrams in scapy's fragments, IPv4 and IPv6 in turn: of every third all pieces come, of the next one is missing,
 * the last begins with two that overlap in 8 bytes. Prints for each piece whether it is lost.
 */
function fragmentsInto(capture: string): string {
  return `${WRITE_CAPTURE}
random.seed(6)
link = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")

def cut(number, content):
    if number % 2 == 0:
        return fragment(link / IP(src="10.0.0.1", dst="10.0.0.2", id=number) / content, 1000 - number)
    return fragment6(link / IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=number) / content, 1000 - number)

def piece(number, first, data):
    if number % 2 == 0:
        return link / IP(src="10.0.0.1", dst="10.0.0.2", id=number, flags="MF", frag=first // 8, proto=17) / Raw(data)
    return link / IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=number, m=1, offset=first // 8, nh=17) / Raw(data)

rows = []
for number in range(12):
    inner = Ether(src="02:00:00:00:00:03", dst="02:00:00:00:00:04", type=0x88b5) / Raw(random.randbytes(3000 + number))
    pieces = cut(number, UDP(dport=4789) / VXLAN(vni=number, flags="Instance") / inner)
    if number % 3 == 1:
        pieces.pop(random.randrange(len(pieces)))
    if number % 3 == 2:
        pieces = [piece(number, 0, random.randbytes(256)), piece(number, 248, random.randbytes(512))]
    rows += [(number % 3 != 0, raw(each)) for each in pieces]
write_capture(${JSON.stringify(capture)}, [(1700000000000000 + index, row[1]) for index, row in enumerate(rows)])
for lost, row in rows:
    print(json.dumps({"lost": lost, "bytes": row.hex()}))
`
}

describe('--quarantine', () => {
  const it = requires('build', 'tshark')

  it('keeps each refused packet of a capture, byte for byte, with its time and the reason as its comment', async () => {
    const file = join(folder, 'refused.pcapng')
    const capture = join(GOLDEN, 'hostile.pcap')
    const report = await decap([capture, '--quarantine', file])
    expectAllKept(report)
    const outer = framesOf(capture)
    const expected = goldenRejects('hostile').map(({ frameNumber }) => outer[frameNumber - 1])
    expect(expected.length).toBeGreaterThan(10)
    // That file's times are written as scapy left them: with nanoseconds above a whole second.
    const kept = framesOf(file).map((frame) => ({ ...frame, ...sameTime(frame) }))
    expect(kept).toEqual(expected.map((frame) => ({ ...frame, ...sameTime(frame!) })))
    const reasons: Record<string, number> = {}
    for (const [comment] of fieldsOf(file, ['frame.comment'])) reasons[comment!] = (reasons[comment!] ?? 0) + 1
    expect(reasons).toEqual(report.dropped)
  })

  it('leaves out what somebody chose not to have', async () => {
    const file = join(folder, 'refused.pcapng')
    const vxlan = Buffer.concat([Buffer.from('0800000000006400', 'hex'), numberedFrame(1)])
    const capture = join(folder, 'outer.pcap')
    writeFileSync(capture, outerCapture([vxlan, refused(7), vxlan]))
    const report = await decap([capture, '--vni', '!100', '--quarantine', file])
    expectAllKept(report, 2)
    expect(report.dropped).toEqual({ 'vni-not-allowed': 2, 'bad-flags': 1 })
    expect(fieldsOf(file, ['frame.comment', 'udp.dstport'])).toEqual([['bad-flags', '4789']])
  })

  it('of 5000 packets none is lost or spoilt where the disk may be waited for', async () => {
    const file = join(folder, 'refused.pcapng')
    const capture = join(folder, 'outer.pcap')
    writeFileSync(capture, outerCapture(Array.from({ length: 5000 }, (_, i) => refused(i))))
    const report = await decap([capture, '--quarantine', `${file}?queue=1MiB`])
    expectAllKept(report)
    expect(framesOf(file).map(({ bytes }) => numberOf(bytes.slice(2 * (14 + 20 + 8 + 8))))).toEqual(
      Array.from({ length: 5000 }, (_, i) => i),
    )
  })

  requires(
    'build',
    'tshark',
    'mkfifo',
  )('what finds its queue full is counted, and holds up nothing', async () => {
    const fifo = join(folder, 'fifo')
    output('mkfifo', fifo)
    const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
    const capture = join(folder, 'outer.pcap')
    writeFileSync(capture, outerCapture(Array.from({ length: 10_000 }, (_, i) => refused(i))))
    const args = [
      'decap',
      capture,
      '--out',
      'null',
      '--quarantine',
      `${fifo}?queue=1MiB&overflow=drop`,
      '--log-level',
      'debug',
    ]
    const running = new Collector(args)
    collector = running
    try {
      await until('it reads', () => running.stderr.includes('reading'))
      // Nobody reads from the pipe, and yet all of the input is taken.
      await until('all is received', async () => (await running.statistics()).received === 10_000)
      running.kill('SIGTERM')
      expect(await running.exit()).toBe(0)
    } finally {
      closeSync(reader)
    }
    const report = running.report() as WithQuarantine
    expectAllKept(report)
    expect(report.quarantine.dropped['sink-overflow']).toBeGreaterThan(1000)
    expect(running.stderr).toContain(`quarantine ${fifo}?queue=1MiB&overflow=drop: `)
  })

  requires(
    'build',
    'tshark',
    'scapy',
  )('keeps the pieces of datagrams that are never whole, as they came', async () => {
    const file = join(folder, 'refused.pcapng')
    const capture = join(folder, 'pieces.pcap')
    const pieces = scapyLines<{ lost: boolean; bytes: string }>(fragmentsInto(capture))
    const report = await decap([capture, '--quarantine', file])
    const lost = pieces.filter((piece) => piece.lost)
    const reassembled = pieces.length - lost.length - 4
    expect(report.dropped).toEqual({ 'fragment-reassembled': reassembled, 'fragment-incomplete': lost.length })
    expect(report.delivered).toBe(4)
    expectAllKept(report, reassembled)
    const came = framesOf(capture).filter((_, i) => pieces[i]!.lost)
    expect(came.map(({ bytes }) => bytes)).toEqual(lost.map(({ bytes }) => bytes))
    const inOrder = (frames: typeof came) => frames.map((frame) => JSON.stringify(frame)).sort()
    expect(inOrder(framesOf(file))).toEqual(inOrder(came))
    const fields = fieldsOf(file, ['frame.comment', 'ip.flags.mf', 'ipv6.fraghdr.more'])
    expect(new Set(fields.map(([comment]) => comment))).toEqual(new Set(['fragment-incomplete']))
    expect(fields.filter(([, ipv4]) => ipv4 !== '')).toHaveLength(10)
    expect(fields.filter(([, , ipv6]) => ipv6 !== '')).toHaveLength(lost.length - 10)
  })

  requires(
    'build',
    'tshark',
    'scapy',
  )('of a flood of pieces the latest 4096 are there, the others counted', async () => {
    const file = join(folder, 'refused.pcapng')
    const capture = join(folder, 'pieces.pcap')
    scapyLines(`${WRITE_CAPTURE}
whole = IP(src="10.0.0.1", dst="10.0.0.2", id=7) / UDP(dport=4789) / Raw(b"x" * 3000)
piece = raw(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / fragment(whole, 1400)[0])
write_capture(${JSON.stringify(capture)}, [(1000000000 + number, piece) for number in range(5000)])
`)
    const report = await decap([capture, '--quarantine', file])
    expectAllKept(report)
    expect((report as WithQuarantine).quarantine).toMatchObject({ written: 4096, dropped: { 'sink-overflow': 904 } })
    expect(framesOf(file).map(({ nanoseconds }) => nanoseconds)).toEqual(
      Array.from({ length: 4096 }, (_, i) => (904 + i) * 1000),
    )
  })

  it('never overwrites a file', async () => {
    const file = join(folder, 'mine.pcapng')
    writeFileSync(file, 'precious')
    const running = new Collector(['decap', join(GOLDEN, 'hostile.pcap'), '--out', 'null', '--quarantine', file])
    collector = running
    expect(await running.exit()).toBe(EXIT_CANNOT_CREATE)
    expect(running.stderr).toContain('mine.pcapng')
    expect(readFileSync(file, 'utf8')).toBe('precious')
  })

  requires('build', 'linux', 'tshark').each(['udp', 'dgram'])(
    'engine %s: a socket gives no outer headers: tshark shows the tunnel, its sender and the reason',
    async (engine) => {
      const file = join(folder, 'refused.pcapng')
      const listen = ['--listen', 'vxlan://127.0.0.1:0', '--listen', 'geneve://[::1]:0', '--engine', engine]
      const running = await startCollector([...listen, '--out', 'null', '--quarantine', file])
      collector = running
      // A Geneve header that says that its options are longer than what is there.
      const geneve = Buffer.from('3f006558 00000500 0000'.replaceAll(' ', ''), 'hex')
      await send([refused(1), Buffer.from('0800', 'hex')], running.ports[0]!)
      await send([geneve], running.ports[1]!, '::1')
      await until('all are received', async () => (await running.statistics()).received === 3)
      expect(await running.stop()).toBe(0)
      expectAllKept(running.report())
      const fields = ['frame.comment', 'ip.src', 'ipv6.src', 'vxlan.flags', 'geneve.version', 'geneve.option.length']
      const rows = fieldsOf(file, fields).sort()
      expect(rows.map((row) => row.slice(0, 4))).toEqual([
        ['bad-flags', '127.0.0.1', '', '0x0000'],
        ['short-header', '', '::1', ''],
        ['short-header', '127.0.0.1', '', '0x0800'],
      ])
      const sent = [refused(1), Buffer.from('0800', 'hex'), geneve].map((bytes) => bytes.toString('hex')).sort()
      const kept = framesOf(file).map(({ bytes }) => bytes)
      for (const bytes of sent) expect(kept.filter((each) => each.endsWith(bytes))).toHaveLength(1)
    },
  )
})
