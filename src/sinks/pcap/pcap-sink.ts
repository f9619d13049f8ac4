import { type Stats, statSync } from 'node:fs'
import { isatty } from 'node:tty'
import { EXIT_USAGE, Failure } from '../../config/terms/failure.ts'
import type { Finding } from '../../config/terms/finding.ts'
import { STANDARD_OUTPUT } from '../../pcap-writer/destination.ts'
import { NamePattern } from '../../pcap-writer/name-pattern.ts'
import { PathTemplate } from '../../pcap-writer/path-template.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../wire/link-type.ts'
import type { OpenSink, SinkContext, SinkType } from '../sink.ts'
import { startSinkThread } from '../thread/host.ts'
import type { FileOptions, NamedFiles } from './file-options.ts'
import { FRAME_WRITER, WRITER_THREAD } from './halves.ts'
import { pcapngFileOptions, pcapngOptions, pcapOptions } from './options.ts'
import { SeriesTable } from './series-table.ts'

async function openFiles(options: FileOptions, context: SinkContext): Promise<OpenSink> {
  if (options.target === '-' && isatty(STANDARD_OUTPUT)) {
    throw new Failure(
      EXIT_USAGE,
      `--out ${context.name}: standard output is a terminal, and a capture is no text.`,
      `Pipe it: --out ${options.kind}:- | wireshark -k -i -; or name a file: --out ${options.kind}:a.${options.kind}.`,
    )
  }
  return await startSinkThread(
    {
      thread: WRITER_THREAD,
      pipelineHalf: FRAME_WRITER,
      options,
      series: needsSeries(options) ? () => new SeriesTable().memory : undefined,
      prompt: context.live && isPipe(options),
      lends: context.live,
    },
    context,
  )
}

/** A reader may be watching. */
function isPipe({ target }: FileOptions): boolean {
  return target === '-' || statusOf(new PathTemplate(target).text)?.isFIFO() === true
}

function needsSeries(options: FileOptions): boolean {
  return options.kind === 'pcapng' || (options.target !== '-' && new PathTemplate(options.target).hasSeriesFields)
}

const KEYS = [
  'target: a path with strftime fields, {vni} and {encap}; - is standard output',
  'rotate=100MiB | 60s | 100MiB,60s: a new file by size, by the clock    keep=10 | 10GiB | 10,10GiB: of the newest',
  'compress=gzip    open-files=128: at a time, where {vni} or {encap} make many',
]

function namesOf({ target, compress, keep }: NamedFiles): NamePattern | undefined {
  if (target === '-') return undefined
  const template = new PathTemplate(target)
  if (statusOf(template.text)?.isCharacterDevice()) return undefined
  return new NamePattern(compress === 'gzip' ? template.gzipped() : template, keep !== undefined)
}

/** SIGHUP makes another file also where nothing else does. */
function foldersOf({ target }: NamedFiles): string[] {
  if (target === '-') return []
  const template = new PathTemplate(target)
  const status = statusOf(template.text)
  if (status?.isFIFO() || status?.isCharacterDevice()) return []
  return template.foldersAt(Date.now() / 1000)
}

function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

const shared = {
  takesTarget: true,
  names: namesOf,
  folders: foldersOf,
  slabBytes: (queue: number): number => queue,
  // Loaded when it is asked for, as in other sinks: a start does not need it.
  check: async (options: NamedFiles): Promise<readonly Finding[]> => [(await import('./check.ts')).checkFiles(options)],
}

export const pcapSink: SinkType<ReturnType<typeof pcapOptions.parse>> = {
  ...shared,
  type: 'pcap',
  takesRawIp: 'alone',
  summary: 'pcap files',
  keys: [...KEYS, 'precision=ns | us'],
  example: 'pcap:/var/lib/mirror/%Y%m%d-%H%M%S.pcap?rotate=100MiB&keep=10GiB',
  options: pcapOptions,
  open: (options, context) =>
    openFiles(
      {
        kind: 'pcap',
        target: options.target,
        precision: options.precision,
        rotate: options.rotate,
        keep: options.keep,
        input: context.input,
        compress: options.compress,
        openFiles: options['open-files'],
        linkType: context.rawIp ? LINKTYPE_RAW : LINKTYPE_ETHERNET,
      },
      context,
    ),
}

export const pcapngSink: SinkType<ReturnType<typeof pcapngOptions.parse>> = {
  ...shared,
  type: 'pcapng',
  takesRawIp: 'beside-ethernet',
  summary: 'pcapng files, with an interface for each tunnel and drop counts',
  keys: KEYS,
  example: 'pcapng:/var/lib/mirror/{encap}-{vni}-%Y%m%d-%H%M%S.pcapng?rotate=1h',
  options: pcapngOptions,
  open: (options, context) => openFiles(pcapngFileOptions(options, context.input), context),
}
