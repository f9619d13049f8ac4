import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Place } from './place.ts'
import { Program } from './program.ts'
import { COMMAND } from './receivers.ts'
import { measured, type Row } from './report.ts'
import { median } from './statistics.ts'
import { OUTER_BYTES, PACKET_SEQUENCE_OFFSET, vxlanPacket } from './traffic.ts'

const PACKETS = 1_000_000
const RUNS = 5
const PACKET_BYTES = 800
const RECORD_HEADER_BYTES = 16
const FILE_HEADER_BYTES = 24
/** draft-ietf-opsawg-pcap: microseconds, version 2.4, 262144 bytes, Ethernet. */
const FILE_HEADER = Uint32Array.of(0xa1b2c3d4, 2 | (4 << 16), 0, 0, 262_144, 1)
const PACKETS_PER_WRITE = 1000

interface Times {
  readonly wall: number
  readonly cpu: number
}

/** Where the C program that takes tunnels off lies: https://github.com/theclam/stripe, one file, built with cc -O2. */
const STRIPE = process.env.MC_BENCH_STRIPE

/** `mirror-collector decap` takes the tunnel off a capture file; the others do, too, or only copy the same file. */
export async function offline(place: Place): Promise<Row[]> {
  const input = join(place.folder, 'offline.pcap')
  const output = join(place.folder, 'offline-out.pcap')
  const decap = [process.execPath, COMMAND, 'decap', input, '--out', `pcap:${output}`]
  const rows: Row[] = []
  const against = async (name: string, argv: readonly string[], packets: number, removed: number, runs: number) => {
    writeCapture(input, packets)
    const ours: Times[] = []
    const theirs: Times[] = []
    // The first of each finds memory that nothing has touched yet, and is not counted.
    for (let i = 0; i <= runs; i++) {
      const a = await timed(decap, output, fileBytes(packets, OUTER_BYTES))
      const b = await timed(argv, output, fileBytes(packets, removed))
      if (i === 0) continue
      ours.push(a)
      theirs.push(b)
    }
    rmSync(input)
    const what = `decap of ${packets / 1e6} M packets of ${PACKET_BYTES} bytes`
    for (const [kind, time] of [
      ['elapsed', 'wall'],
      ['CPU', 'cpu'],
    ] as const) {
      const [mine, other] = [ours.map((times) => times[time]), theirs.map((times) => times[time])]
      rows.push(compare(`${what}, ${kind}`, name, mine, other))
    }
  }
  // tcpdump would otherwise become a user who may not write here.
  await against('tcpdump -r -w', ['tcpdump', '-Z', 'root', '-r', input, '-w', output], PACKETS, 0, RUNS)
  if (STRIPE === undefined) {
    const measure = 'MC_BENCH_STRIPE names no program: not compared with stripe, in C'
    rows.push({ part: 'offline', measure })
  } else await against('stripe, in C', [STRIPE, '-r', input, '-w', output], PACKETS, OUTER_BYTES, RUNS)
  if (spawnSync('tshark', ['--version']).error !== undefined) {
    rows.push({ part: 'offline', measure: 'this machine lacks tshark: not compared with it' })
  } else await against('tshark -r -w', ['tshark', '-F', 'pcap', '-r', input, '-w', output], PACKETS, 0, RUNS)
  return rows
}

function fileBytes(packets: number, removed: number): number {
  return FILE_HEADER_BYTES + packets * (RECORD_HEADER_BYTES + PACKET_BYTES - removed)
}

function compare(measure: string, yardstick: string, ours: number[], theirs: number[]): Row {
  return measured({
    part: 'offline',
    measure,
    ours: `${median(ours).toFixed(2)} s`,
    yardstick: `${yardstick}: ${median(theirs).toFixed(2)} s`,
    ratio: median(ours) / median(theirs),
    atMost: 1,
    samples: [ours, theirs],
  })
}

/** Runs a command to its end and removes its output, which must have `outputBytes`. */
async function timed(argv: readonly string[], output: string, outputBytes: number): Promise<Times> {
  const script = 'TIMEFORMAT="%3R %3U %3S"; time "$@"'
  const { stderr } = await new Program(['bash', '-c', script, 'bash', ...argv]).ended()
  const size = statSync(output).size
  rmSync(output)
  if (size !== outputBytes) throw new Error(`${argv.join(' ')}: wrote ${size} bytes, not ${outputBytes}\n${stderr}`)
  const [wall, user, system] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number)
  process.stderr.write(
    `  ${argv[0] === process.execPath ? 'decap' : basename(argv[0]!)}: ${wall} s, CPU ${user} + ${system} s\n`,
  )
  return { wall: wall!, cpu: user! + system! }
}

/** Writes mirrored frames in their tunnels, 10 us apart, as a pcap file; `packets` is a multiple of 1000. */
export function writeCapture(path: string, packets: number, packetBytes: number = PACKET_BYTES): void {
  const packet = vxlanPacket(packetBytes)
  const record = RECORD_HEADER_BYTES + packetBytes
  const chunk = new Uint8Array(PACKETS_PER_WRITE * record)
  const view = new DataView(chunk.buffer)
  for (let i = 0; i < PACKETS_PER_WRITE; i++) {
    view.setUint32(i * record + 8, packetBytes, true)
    view.setUint32(i * record + 12, packetBytes, true)
    chunk.set(packet, i * record + RECORD_HEADER_BYTES)
  }
  const fd = openSync(path, 'wx')
  writeSync(fd, FILE_HEADER)
  for (let first = 0; first < packets; first += PACKETS_PER_WRITE) {
    for (let i = 0; i < PACKETS_PER_WRITE; i++) {
      const microseconds = (first + i) * 10
      view.setUint32(i * record, 1_700_000_000 + Math.floor(microseconds / 1e6), true)
      view.setUint32(i * record + 4, microseconds % 1e6, true)
      view.setUint32(i * record + RECORD_HEADER_BYTES + PACKET_SEQUENCE_OFFSET, first + i)
    }
    writeSync(fd, chunk)
  }
  closeSync(fd)
}
