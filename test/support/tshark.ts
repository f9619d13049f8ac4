import { execFileSync, spawnSync } from 'node:child_process'

/** One packet as tshark reads it. */
export interface Frame {
  seconds: number
  nanoseconds: number
  captured: number
  wireLength: number
  /** The captured bytes, lower-case hexadecimal. */
  bytes: string
}

interface EkFrame {
  layers?: {
    /** Absent from a packet of no bytes. */
    frame_raw?: string
    frame: { frame_frame_time_epoch: string; frame_frame_cap_len: string; frame_frame_len: string }
  }
}

/** Runs a tool and gives its standard output; throws with its standard error when it fails. */
export function output(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Every packet of a capture file, by tshark; Ethernet's dissector is off, which is several times faster. */
export function framesOf(file: string): Frame[] {
  const lines = output('tshark', '-n', '-r', file, '--disable-protocol', 'eth', '-T', 'ek', '-x', '-J', 'frame')
  const frames: Frame[] = []
  for (const line of lines.split('\n')) {
    if (!line.includes('"layers"')) continue
    const { frame_raw = '', frame } = (JSON.parse(line) as EkFrame).layers!
    const [seconds, fraction] = frame.frame_frame_time_epoch.split('.')
    frames.push({
      seconds: Number(seconds),
      nanoseconds: Number(fraction),
      captured: Number(frame.frame_frame_cap_len),
      wireLength: Number(frame.frame_frame_len),
      bytes: frame_raw,
    })
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
