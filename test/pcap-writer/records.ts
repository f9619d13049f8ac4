import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import type { CaptureEvents } from '../../src/pcap-writer/account.ts'
import { CaptureFiles } from '../../src/pcap-writer/capture-files.ts'
import type { CaptureFilesOptions } from '../../src/pcap-writer/capture-files-options.ts'
import type { FileCalls } from '../../src/pcap-writer/destination.ts'
import { PathTemplate } from '../../src/pcap-writer/path-template.ts'
import { PcapFormat } from '../../src/pcap-writer/pcap-format.ts'
import type { RecordFormat } from '../../src/pcap-writer/record-format.ts'
import { framesOf } from '../support/tshark.ts'
import { type Frame, frame } from './records.frames.ts'

/** The frames' records one behind the other, in shared memory as in the collector. */
export function records(format: RecordFormat, frames: readonly Frame[], series = 0): Uint8Array {
  const columns = {
    captured: Uint32Array.from(frames, ({ bytes }) => bytes.length),
    wireLength: Uint32Array.from(frames, ({ wireLength }) => wireLength),
    seconds: Uint32Array.from(frames, ({ seconds }) => seconds),
    nanoseconds: Uint32Array.from(frames, ({ nanoseconds }) => nanoseconds),
  }
  const length = frames.reduce((sum, { bytes }) => sum + format.recordBytes(bytes.length), 0)
  const memory = new Uint8Array(new SharedArrayBuffer(length)).fill(0xa5)
  const view = new DataView(memory.buffer)
  let at = 0
  for (const [row, { bytes }] of frames.entries()) {
    format.writeRecord(view, at, columns, row, series)
    memory.set(bytes, at + format.headerBytes)
    at += format.recordBytes(bytes.length)
  }
  return memory
}

/** A set of files whose events are noted, in a folder that goes away after the test. */
export class Bench {
  readonly folder: string = temporaryFolder()
  readonly events: string[] = []
  readonly format: RecordFormat
  readonly files: CaptureFiles
  #sequence = 0

  constructor(
    path: string,
    options: Partial<CaptureFilesOptions> & { before?: (folder: string) => void } = {},
    calls?: FileCalls,
  ) {
    const { before, ...rest } = options
    before?.(this.folder)
    this.format = options.format ?? new PcapFormat()
    const note =
      (name: keyof CaptureEvents) =>
      (...args: unknown[]): number =>
        this.events.push([name, ...args.map((arg) => this.#short(arg))].join(' '))
    this.files = new CaptureFiles(
      {
        series: (index) => ({ encapsulation: 'vxlan', tunnelId: index }),
        events: {
          opened: note('opened'),
          closed: note('closed'),
          trouble: note('trouble'),
          recovered: note('recovered'),
          ended: note('ended'),
          removed: note('removed'),
          cannotRemove: note('cannotRemove'),
        },
        ...rest,
        format: this.format,
        path: new PathTemplate(join(this.folder, path)),
      },
      calls,
    )
  }

  /** Adds one 60-byte frame for each time, numbered on from the last call. */
  add(seconds: readonly number[], series = 0, length = 60): void {
    const frames = seconds.map((second) => frame(this.#sequence++, second, length))
    const bytes = records(this.format, frames, series)
    this.files.add(bytes, 0, bytes.length, frames.length, Math.max(...seconds), series)
  }

  commit(): void {
    this.files.commit()
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  #short(arg: unknown): string {
    const text = arg instanceof Error && 'code' in arg ? `${arg.code}` : arg instanceof Error ? arg.message : `${arg}`
    return text.replace(`${this.folder}/`, '')
  }
}

const folders: string[] = []

/** A folder that is removed after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pcap-writer-'))
  folders.push(folder)
  return folder
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** One line a packet: what tshark says about the fields. */
export function tshark(path: string, ...fields: string[]): string[] {
  const args = ['-n', '-r', path, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])]
  return lines(
    execFileSync('tshark', args, { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] }),
  )
}

/** One line a packet, as tcpdump reads it; fails if tcpdump finds the file cut off. */
export function tcpdump(path: string): string[] {
  const args = ['-n', '-e', '-tt', '--nano', '-r', path]
  return lines(
    execFileSync('tcpdump', args, { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] }),
  )
}

/** The sequence numbers of the frames in a file, where frame() puts them. */
export function sequences(path: string, mayBreakOff = false): number[] {
  return framesOf(path, mayBreakOff).map(({ bytes }) => Number.parseInt(bytes.slice(28, 36), 16))
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/** The numbers from `start` up to but without `end`. */
export function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}
