import { execFileSync, spawnSync } from 'node:child_process'
import { endianness } from 'node:os'

/** One packet as tshark reads it. */
export interface Frame {
  seconds: number
  nanoseconds: number
  captured: number
  wireLength: number
  /** The captured bytes, lower-case hexadecimal. */
  bytes: string
}

/** Runs a tool and gives its standard output; throws with its standard error when it fails. */
export function output(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] })
}

const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16

/**
 * Every packet of a capture file, as tshark reads it: editcap has the same reader, and writes what that gives as plain pcap. It starts
 * without a dissector, which is twenty times faster. `mayBreakOff`: it may end inside a packet, as a file whose writer was killed.
 */
export function framesOf(file: string, mayBreakOff = false): Frame[] {
  // One link type for all packets, whatever theirs are: a pcap file can have no more, and nobody looks at it here.
  const asPcap = ['-F', 'nsecpcap', '-T', 'ether', file, '-']
  const { status, stdout, stderr, error } = spawnSync('editcap', asPcap, { maxBuffer: 1 << 30 })
  // Of a file that breaks off it complains, and then ends with 0.
  const isSound = stderr.length === 0 || (mayBreakOff && stderr.includes('cut short in the middle of a packet'))
  if (status !== 0 || !isSound) throw error ?? new Error(String(stderr))
  return recordsOf(stdout)
}

/** The records of a pcap file with nanoseconds in this machine's own byte order; none in a file of no bytes. */
function recordsOf(pcap: Buffer): Frame[] {
  const number = (at: number): number => (endianness() === 'LE' ? pcap.readUInt32LE(at) : pcap.readUInt32BE(at))
  const frames: Frame[] = []
  for (let at = FILE_HEADER_BYTES; at < pcap.length; ) {
    const captured = number(at + 8)
    const begin = at + RECORD_HEADER_BYTES
    frames.push({
      seconds: number(at),
      nanoseconds: number(at + 4),
      captured,
      wireLength: number(at + 12),
      bytes: pcap.toString('hex', begin, begin + captured),
    })
    at = begin + captured
  }
  return frames
}

/** Values of the named fields, one array per packet, by tshark's whole dissection. */
export function fieldsOf(file: string, fields: string[], ...options: string[]): string[][] {
  const wanted = fields.flatMap((field) => ['-e', field])
  const lines = output('tshark', '-n', ...options, '-r', file, '-T', 'fields', '-E', 'separator=/t', ...wanted)
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'))
}

/** Packets of a capture file that may still be growing; -1 while it ends amid one. */
export function packetsIn(file: string): number {
  const { status, stdout } = spawnSync('capinfos', ['-cM', file], { encoding: 'utf8' })
  return status === 0 ? Number(/packets:\s+(\d+)/.exec(stdout)![1]) : -1
}
