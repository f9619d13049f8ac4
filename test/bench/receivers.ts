import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Report } from '../../src/telemetry/report.ts'
import type { Place } from './place.ts'
import { Program } from './program.ts'
import { VNI, VXLAN_PORT } from './traffic.ts'

const PCAP_FILE_HEADER_BYTES = 24
export const PCAP_RECORD_HEADER_BYTES = 16

export const COMMAND: string = new URL('../../dist/bin/mirror-collector.js', import.meta.url).pathname
const REFERENCE_SOURCE = new URL('reference/receiver.c', import.meta.url).pathname

/** What a receiver counted by itself. */
export interface Counted {
  /** Frames written to the file. */
  readonly written: number
  /** Datagrams that the kernel dropped because the socket's buffer was full. */
  readonly kernelDropped: number
}

/** A program under comparison, receiving one port into one pcap file. */
export interface Receiver {
  readonly name: string
  /** Starts it and resolves when its socket is open. */
  start(place: Place): Promise<Run>
}

/** One run of a receiver. */
export interface Run {
  readonly pid: number
  /** Grows with every frame written: bytes of the file, or bytes that came to the device. */
  size(): number
  /** Whether that is a file. */
  readonly isFile: boolean
  /** Ends it; the count is checked against what was written. Throws when they differ. */
  stop(innerBytes: number): Promise<Counted>
}

export const collector: Receiver = collectorWith('udp')

export type Engine = 'udp' | 'ring' | 'dgram'

/** The collector with that engine. */
export function collectorWith(engine: Engine): Receiver {
  return {
    name: engine === 'udp' ? 'mirror-collector' : `mirror-collector --engine ${engine}`,
    async start(place) {
      const file = join(place.folder, 'received.pcap')
      const { program, stop } = await startCollector(place, `pcap:${file}`, [], engine)
      return {
        pid: program.pid,
        size: () => statSync(file).size,
        isFile: true,
        stop: async (innerBytes) => checked(place, await stop(), file, innerBytes),
      }
    },
  }
}

const TAP = 'bench0'

/** The collector with a TAP device that nobody listens on, which loses nothing, among its sinks. */
export function collectorToSinks(name: string, outs: readonly string[], engine: Engine = 'udp'): Receiver {
  return {
    name,
    async start(place) {
      const { program, stop } = await startCollector(place, outs, [], engine)
      return { pid: program.pid, size: () => deviceBytes(program.pid), isFile: false, stop: async () => await stop() }
    },
  }
}

export const collectorToTap: Receiver = collectorToSinks('mirror-collector to TAP', [`tap:${TAP}`])
export const ringToTap: Receiver = collectorToSinks('mirror-collector --engine ring to TAP', [`tap:${TAP}`], 'ring')

/** Bytes that the kernel took from the TAP device in the process's namespace; 0 without one. */
function deviceBytes(pid: number): number {
  const line = readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .find((text) => text.trim().startsWith(`${TAP}:`))
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[0] ?? 0)
}

/** The collector, its socket open; its count is that of the sink which wrote least. */
export async function startCollector(
  place: Place,
  out: string | readonly string[],
  nodeFlags: readonly string[] = [],
  engine: Engine = 'udp',
  more: readonly string[] = [],
): Promise<{ program: Program; stop: () => Promise<Counted> }> {
  const report = join(place.folder, 'report.json')
  const options = ['--listen', `:${VXLAN_PORT}`, '--engine', engine, '--report', report, ...more]
  for (const sink of [out].flat()) options.push('--out', sink)
  const program = new Program(place.inReceiver([process.execPath, ...nodeFlags, COMMAND, ...options]))
  await program.says('listening')
  return {
    program,
    async stop() {
      await program.stop()
      const counts = JSON.parse(readFileSync(report, 'utf8')) as Report
      rmSync(report)
      // A frame counts where every sink has it.
      const written = Math.min(...counts.sinks.map((sink) => sink.written))
      return { written, kernelDropped: counts.kernelDropped }
    },
  }
}

/** The C program, compiled here; undefined where there is no gcc. */
export function reference(place: Place): Receiver | undefined {
  const binary = compiled(place)
  if (binary === undefined) return undefined
  return {
    name: 'C',
    async start(at) {
      const file = join(at.folder, 'received.pcap')
      const program = await startReference(at, binary, file)
      return {
        pid: program.pid,
        size: () => statSync(file).size,
        isFile: true,
        stop: async (innerBytes) => checked(at, JSON.parse((await program.stop()).stdout) as Counted, file, innerBytes),
      }
    },
  }
}

/** The same, writing frames to a TAP device. */
export function referenceToTap(place: Place): Receiver | undefined {
  const binary = compiled(place)
  if (binary === undefined) return undefined
  return {
    name: 'C to TAP',
    async start(at) {
      const program = await startReference(at, binary, `tap:${TAP}`)
      return {
        pid: program.pid,
        size: () => deviceBytes(program.pid),
        isFile: false,
        stop: async () => JSON.parse((await program.stop()).stdout) as Counted,
      }
    },
  }
}

async function startReference(place: Place, binary: string, target: string): Promise<Program> {
  const program = new Program(place.inReceiver([binary, String(VXLAN_PORT), String(VNI), target]))
  await program.says('listening')
  return program
}

function compiled(place: Place): string | undefined {
  const binary = join(place.folder, 'receiver')
  if (!existsSync(binary)) {
    try {
      execFileSync('gcc', ['-O2', '-std=c11', '-o', binary, REFERENCE_SOURCE])
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  return binary
}

const VXLAN_DEVICE = 'vxbench'

/** tcpdump or dumpcap on the kernel's vxlan device, which takes the tunnel off for it. */
export function onVxlanDevice(tool: 'tcpdump' | 'dumpcap'): Receiver {
  const argv = {
    tcpdump: ['tcpdump', '-Z', 'root', '-n', '-s', '0', '-B', '65536', '-i', VXLAN_DEVICE, '-w'],
    dumpcap: ['dumpcap', '-q', '-P', '-B', '64', '-i', VXLAN_DEVICE, '-w'],
  }[tool]
  const says = { tcpdump: 'listening on', dumpcap: 'File:' }[tool]
  const counts = { tcpdump: /(\d+) packets captured/, dumpcap: /Packets captured: (\d+)/ }[tool]
  return {
    name: tool,
    async start(place) {
      const ip = (...args: string[]) => execFileSync(...headAndTail(place.inReceiver(['ip', ...args])))
      ip('link', 'add', VXLAN_DEVICE, 'type', 'vxlan', 'id', String(VNI), 'dstport', String(VXLAN_PORT))
      ip('link', 'set', VXLAN_DEVICE, 'addrgenmode', 'none')
      ip('link', 'set', VXLAN_DEVICE, 'arp', 'off', 'up')
      const file = join(place.folder, 'received.pcap')
      const program = new Program(place.inReceiver([...argv, file]))
      await program.says(says)
      return {
        pid: program.pid,
        size: () => statSync(file).size,
        isFile: true,
        async stop(innerBytes) {
          const { stderr } = await program.stop()
          ip('link', 'del', VXLAN_DEVICE)
          const dropped = Number(/(\d+) packets dropped by kernel|dropped.*?: \d+\/(\d+)/.exec(stderr)?.[1] ?? 0)
          return checked(place, { written: Number(counts.exec(stderr)![1]), kernelDropped: dropped }, file, innerBytes)
        },
      }
    },
  }
}

function headAndTail([file, ...args]: string[]): [string, string[]] {
  return [file!, args]
}

/** Believes a receiver's count only if its file is exactly as long as long as that many records; keeps its memory for the next. */
function checked({ pages }: Place, counted: Counted, file: string, innerBytes: number): Counted {
  const expected = PCAP_FILE_HEADER_BYTES + counted.written * (PCAP_RECORD_HEADER_BYTES + innerBytes)
  const size = statSync(file).size
  pages.take(file)
  if (size !== expected)
    throw new Error(`${counted.written} frames counted, but ${file} has ${size} bytes, not ${expected}`)
  return counted
}
