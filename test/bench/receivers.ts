import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Report } from '../../src/telemetry/report.ts'
import type { Place } from './place.ts'
import { Program } from './program.ts'
import { VNI, VXLAN_PORT } from './traffic.ts'

const PCAP_FILE_HEADER_BYTES = 24
const PCAP_RECORD_HEADER_BYTES = 16

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
  readonly file: string
  /** Ends it; the count is checked against the file, which is removed. Throws when they differ. */
  stop(innerBytes: number): Promise<Counted>
}

export const collector: Receiver = collectorWith('udp')

/** The collector with that engine. */
export function collectorWith(engine: 'udp' | 'ring'): Receiver {
  return {
    name: engine === 'udp' ? 'mirror-collector' : `mirror-collector --engine ${engine}`,
    async start(place) {
      const file = join(place.folder, 'received.pcap')
      const { program, stop } = await startCollector(place, `pcap:${file}`, [], engine)
      return { pid: program.pid, file, stop: async (innerBytes) => checked(await stop(), file, innerBytes) }
    },
  }
}

/** The collector with one sink, its socket open. */
export async function startCollector(
  place: Place,
  out: string,
  nodeFlags: readonly string[] = [],
  engine: 'udp' | 'ring' = 'udp',
): Promise<{ program: Program; stop: () => Promise<Counted> }> {
  const report = join(place.folder, 'report.json')
  const options = ['--listen', `:${VXLAN_PORT}`, '--engine', engine, '--out', out, '--report', report]
  const program = new Program(place.inReceiver([process.execPath, ...nodeFlags, COMMAND, ...options]))
  await program.says('listening')
  return {
    program,
    async stop() {
      await program.stop()
      const counts = JSON.parse(readFileSync(report, 'utf8')) as Report
      rmSync(report)
      return { written: counts.sinks[0]!.written, kernelDropped: counts.kernelDropped }
    },
  }
}

/** The C program, compiled here; undefined where there is no gcc. */
export function reference(place: Place): Receiver | undefined {
  const binary = join(place.folder, 'receiver')
  if (!existsSync(binary)) {
    try {
      execFileSync('gcc', ['-O2', '-std=c11', '-o', binary, REFERENCE_SOURCE])
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
  return {
    name: 'C',
    async start(at) {
      const file = join(at.folder, 'received.pcap')
      const program = new Program(at.inReceiver([binary, String(VXLAN_PORT), String(VNI), file]))
      await program.says('listening')
      return {
        pid: program.pid,
        file,
        stop: async (innerBytes) => checked(JSON.parse((await program.stop()).stdout) as Counted, file, innerBytes),
      }
    },
  }
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
        file,
        async stop(innerBytes) {
          const { stderr } = await program.stop()
          ip('link', 'del', VXLAN_DEVICE)
          const dropped = Number(/(\d+) packets dropped by kernel|dropped.*?: \d+\/(\d+)/.exec(stderr)?.[1] ?? 0)
          return checked({ written: Number(counts.exec(stderr)![1]), kernelDropped: dropped }, file, innerBytes)
        },
      }
    },
  }
}

function headAndTail([file, ...args]: string[]): [string, string[]] {
  return [file!, args]
}

/** Believes a receiver's count only if its file is exactly as long as that many records; removes the file. */
function checked(counted: Counted, file: string, innerBytes: number): Counted {
  const expected = PCAP_FILE_HEADER_BYTES + counted.written * (PCAP_RECORD_HEADER_BYTES + innerBytes)
  const size = statSync(file).size
  rmSync(file)
  if (size !== expected)
    throw new Error(`${counted.written} frames counted, but ${file} has ${size} bytes, not ${expected}`)
  return counted
}
