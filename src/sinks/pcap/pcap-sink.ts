import { Worker } from 'node:worker_threads'
import { Failure, type FailureMessage, toFailureMessage } from '../../config/terms/failure.ts'
import { closeRecordQueue, createRecordQueue } from '../../frames/record-queue.ts'
import { PathTemplate } from '../../pcap-writer/path-template.ts'
import type { OpenSink, SinkContext, SinkType } from '../sink.ts'
import { type FileOptions, pcapngOptions, pcapOptions } from './options.ts'
import { SeriesTable } from './series-table.ts'
import { type FileWiring, REQUEST_HURRY, REQUEST_REOPEN, REQUEST_WORDS, type WriterMessage } from './wiring.ts'

/** Starts the thread that writes, and waits until it has opened what it can open before the first frame. */
async function openFiles(options: FileOptions, context: SinkContext): Promise<OpenSink> {
  const wiring: FileWiring = {
    slab: context.slab,
    queue: createRecordQueue(context.byteOffset, context.byteLength),
    options,
    overflow: context.common.overflow,
    series: needsSeries(options) ? new SeriesTable().memory : undefined,
    counters: context.counters.memory,
    pipelineCounters: context.pipelineCounters,
    prompt: context.live && options.target === '-',
    live: context.live,
    requests: new SharedArrayBuffer(4 * REQUEST_WORDS),
  }
  const worker = new Worker(new URL('./writer-thread.js', import.meta.url), { workerData: wiring })
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  const log = ({ level, path, message }: WriterMessage & { kind: 'log' }) =>
    context.log[level]({ sink: context.name, path }, message)
  await new Promise<void>((resolve, reject) => {
    let isReady = false
    const fail = (failure: FailureMessage) => {
      closeRecordQueue(wiring.queue, 'abandoned')
      if (isReady) context.fail(failure)
      else reject(new Failure(failure.exitCode, failure.what, failure.mend))
    }
    worker.on('error', (error) => fail(toFailureMessage(error)))
    worker.on('message', (message: WriterMessage) => {
      if (message.kind === 'ready') {
        isReady = true
        resolve()
      } else if (message.kind === 'failed') fail(message)
      else if (message.kind === 'ended') context.stop('The reader of standard output has gone.')
      else void context.announced.then(() => log(message))
    })
  })
  return {
    pipelineHalf: new URL('./frame-writer.js', import.meta.url),
    wiring,
    close: async () => {
      closeRecordQueue(wiring.queue, 'closed')
      await ended
      context.counters.failRest()
    },
    abandon: async () => {
      closeRecordQueue(wiring.queue, 'abandoned')
      await ended
    },
    hurry: () => {
      Atomics.store(new Int32Array(wiring.requests), REQUEST_HURRY, 1)
    },
    reopen: () => {
      Atomics.add(new Int32Array(wiring.requests), REQUEST_REOPEN, 1)
    },
  }
}

function needsSeries(options: FileOptions): boolean {
  return options.kind === 'pcapng' || (options.target !== '-' && new PathTemplate(options.target).hasSeriesFields)
}

const KEYS = [
  'target: a path with strftime fields, {vni} and {encap}; - is standard output',
  'rotate=100MiB | 60s | 100MiB,60s    keep=10 | 10GiB | 10,10GiB    compress=gzip    open-files=128',
]

const shared = {
  takesTarget: true,
  slabBytes: (queue: number): number => queue,
}

export const pcapSink: SinkType<ReturnType<typeof pcapOptions.parse>> = {
  ...shared,
  type: 'pcap',
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
        compress: options.compress,
        openFiles: options['open-files'],
      },
      context,
    ),
}

export const pcapngSink: SinkType<ReturnType<typeof pcapngOptions.parse>> = {
  ...shared,
  type: 'pcapng',
  summary: 'pcapng files, with an interface for each tunnel and drop counts',
  keys: KEYS,
  example: 'pcapng:/var/lib/mirror/{encap}-{vni}-%Y%m%d-%H%M%S.pcapng?rotate=1h',
  options: pcapngOptions,
  open: (options, context) =>
    openFiles(
      {
        kind: 'pcapng',
        target: options.target,
        precision: 'ns',
        rotate: options.rotate,
        keep: options.keep,
        compress: options.compress,
        openFiles: options['open-files'],
      },
      context,
    ),
}
