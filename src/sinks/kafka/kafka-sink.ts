import { type BrokersAndTopic, parseTarget, readAccess } from '../../kafka/access-options.ts'
import { SeriesTable } from '../pcap/series-table.ts'
import type { SinkType } from '../sink.ts'
import { startSinkThread } from '../thread/host.ts'
import { type KafkaOptions, kafkaOptions, type ProducerOptions } from './options.ts'

const ACKS = { all: -1, '1': 1, '0': 0 } as const

function producerOptions(options: KafkaOptions): ProducerOptions {
  // The schema has seen that it is one.
  const { brokers, topic } = parseTarget(options.target) as BrokersAndTopic
  return {
    access: readAccess(brokers, options),
    topic,
    format: options.format,
    key: options.key,
    acks: ACKS[options.acks],
    idempotent: options.acks === 'all' && options.idempotence !== 'off',
    compress: options.compress === 'gzip',
    batchBytes: options.batch,
    lingerMs: options.linger,
    spool: options.spool === undefined ? undefined : { folder: options.spool, limit: options['spool-size'] },
  }
}

/** Whether all frames of a tunnel go to one place, as the records of a pcapng file. */
function hasSeries({ format, key }: KafkaOptions): boolean {
  return format === 'pcapng' && key !== 'flow'
}

export const kafkaSink: SinkType<KafkaOptions> = {
  type: 'kafka',
  summary: 'records of a Kafka topic: a frame each, or pcapng files of many',
  keys: [
    'target: HOST:PORT[,HOST:PORT]/TOPIC; the topic may have {vni} and {encap}',
    'format=frame | pcapng    key=time | vni | flow: what goes to one partition    compress=gzip',
    'acks=all | 1 | 0    idempotence=on | off    batch=512KiB    linger=50ms',
    'spool=FOLDER    spool-size=1GiB: where records wait while no broker answers',
    'tls=on    tls-ca=FILE    tls-cert=FILE    tls-key=FILE    sasl=plain | scram-sha-256 | scram-sha-512',
    'user=NAME    password-file=FILE | password-env=VARIABLE',
  ],
  example: 'kafka:localhost:9092/mirror?key=flow',
  takesTarget: true,
  options: kafkaOptions,
  takesRawIp: 'beside-ethernet',
  needsPeers: ({ format }) => format === 'frame',
  whenUnwritten: () => 'The lines above tell what its brokers say; mirror-collector check asks them.',
  folders: ({ spool }) => (spool === undefined ? [] : [spool]),
  slabBytes: (queue) => queue,
  check: async ({ target }) =>
    (await import('../../kafka/broker-findings.ts')).brokerFindings((parseTarget(target) as BrokersAndTopic).brokers),
  open: async (options, context) =>
    startSinkThread(
      {
        thread: new URL('./producer-thread.js', import.meta.url),
        pipelineHalf: new URL('./frame-queue.js', import.meta.url),
        options: producerOptions(options),
        prompt: false,
        series: hasSeries(options) ? () => new SeriesTable().memory : undefined,
      },
      context,
    ),
}
