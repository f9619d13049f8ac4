import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Report } from '../../src/telemetry/report.ts'
import { KafkaBroker } from '../support/kafka/broker.ts'
import { kafkaClasspath } from '../support/kafka/jars.ts'
import { atEnd } from './cleanup.ts'
import { attempt } from './live.ts'
import { writeCapture } from './offline.ts'
import type { Place } from './place.ts'
import { Program } from './program.ts'
import { COMMAND, type Receiver } from './receivers.ts'
import { measured, type Row, type Settings } from './report.ts'
import { median } from './statistics.ts'
import { OUTER_BYTES, VXLAN_PORT } from './traffic.ts'

/** Each run sends about so much. */
const RUN_BYTES = 300e6
/** Of a pcapng record: what fits into a batch of 512 KiB. */
const PCAPNG_RECORD_BYTES = 524_000
const FEW_FRAMES = new URL('../golden/kernel-ipv4.pcap', import.meta.url).pathname
const BESIDE_RATE = 200_000
const INNER_BYTES = 200
const BROKER_JAVA_OPTIONS = ['-Xms1g', '-Xmx1g']

/** Frames to a broker on this machine, beside what Kafka's own client does with records of the same size. */
export async function kafka(place: Place, settings: Settings): Promise<Row[]> {
  if (kafkaClasspath() === undefined)
    return [{ part: 'kafka', measure: 'left out: no Java, or no Maven to fetch Kafka with' }]
  const broker = await KafkaBroker.start({ javaOptions: BROKER_JAVA_OPTIONS })
  const forget = atEnd(() => process.kill(broker.pid, 'SIGKILL'))
  try {
    const rows: Row[] = []
    for (const frameBytes of settings.quick ? [200] : [200, 1400]) {
      const frames = Math.round(RUN_BYTES / frameBytes / 1000) * 1000
      const input = join(place.folder, 'kafka.pcap')
      writeCapture(input, frames, frameBytes + OUTER_BYTES)
      rows.push(
        await compare(
          broker,
          { input, frames, frameBytes, format: 'frame', recordBytes: frameBytes, atLeast: 0.3 },
          settings,
        ),
      )
      rows.push(
        await compare(
          broker,
          { input, frames, frameBytes, format: 'pcapng', recordBytes: PCAPNG_RECORD_BYTES, atLeast: 0.9 },
          settings,
        ),
      )
      rmSync(input)
    }
    return [...rows, await beside(place, broker, settings)]
  } finally {
    forget()
    await broker.dispose()
  }
}

interface Comparison {
  readonly input: string
  readonly frames: number
  readonly frameBytes: number
  readonly format: 'frame' | 'pcapng'
  readonly recordBytes: number
  readonly atLeast: number
}

async function compare(broker: KafkaBroker, what: Comparison, settings: Settings): Promise<Row> {
  const ours: number[] = []
  const theirs: number[] = []
  for (let i = 0; i < Math.max(3, settings.repeats); i++) {
    ours.push(await onNewTopic(broker, (topic) => decapRate(broker, topic, what)))
    theirs.push(await onNewTopic(broker, (topic) => producerRate(broker, topic, what.recordBytes)))
    process.stderr.write(
      `  ${what.format}, ${what.frameBytes} bytes: ${ours.at(-1)!.toFixed(0)} / ${theirs.at(-1)!.toFixed(0)} MB/s\n`,
    )
  }
  return measured({
    part: 'kafka',
    measure: `format=${what.format}, ${what.frameBytes}-byte frames, acks=all`,
    ours: `${median(ours).toFixed(0)} MB/s`,
    yardstick: `producer-perf-test, records of ${what.recordBytes} bytes: ${median(theirs).toFixed(0)} MB/s`,
    ratio: median(ours) / median(theirs),
    atLeast: what.atLeast,
    samples: [ours, theirs],
  })
}

/** Deleted afterwards, so that the disk does not fill. */
async function onNewTopic<Result>(broker: KafkaBroker, work: (topic: string) => Promise<Result>): Promise<Result> {
  const topic = `bench-${performance.now()}`
  await broker.createTopic(topic)
  try {
    return await work(topic)
  } finally {
    await broker.admin((admin) => admin.deleteTopics({ topics: [topic] }))
  }
}

/** MB of frames a second, without the start and the end of the process, as the tool measures it: less what a run of few frames takes. */
async function decapRate(broker: KafkaBroker, topic: string, what: Comparison): Promise<number> {
  const { input, frames, frameBytes, format } = what
  const few = await decapSeconds(broker, topic, FEW_FRAMES, 5, format)
  const seconds = (await decapSeconds(broker, topic, input, frames, format)) - few
  return (frames * frameBytes) / 1e6 / seconds
}

async function decapSeconds(
  broker: KafkaBroker,
  topic: string,
  input: string,
  frames: number,
  format: string,
): Promise<number> {
  const out = `kafka:${broker.address}/${topic}?format=${format}`
  const start = performance.now()
  const program = new Program([process.execPath, COMMAND, 'decap', input, '--out', out, '--report', '-', '-q'])
  const { stdout } = await program.ended()
  const seconds = (performance.now() - start) / 1000
  const { written } = (JSON.parse(stdout) as Report).sinks[0]!
  if (written !== frames) throw new Error(`${out}: ${written} of ${frames} frames written`)
  return seconds
}

/** MB of records a second, as the tool measures it: without the start of its process. */
async function producerRate(broker: KafkaBroker, topic: string, recordBytes: number): Promise<number> {
  const records = Math.round(RUN_BYTES / recordBytes)
  const tool = ['java', '-Xmx1g', '-cp', kafkaClasspath()!, 'org.apache.kafka.tools.ProducerPerformance']
  const load = [
    '--topic',
    topic,
    '--record-size',
    `${recordBytes}`,
    '--num-records',
    `${records}`,
    '--throughput',
    '-1',
  ]
  const program = new Program([...tool, ...load, '--producer-props', `bootstrap.servers=${broker.address}`, 'acks=all'])
  const { stdout } = await program.ended()
  const rate = /, ([\d.]+) records\/sec/.exec(stdout.trim().split('\n').at(-1) ?? '')?.[1]
  if (rate === undefined) throw new Error(`producer-perf-test said: ${stdout}`)
  return (Number(rate) * recordBytes) / 1e6
}

/** A broker that takes nothing, and a pcap file beside it, in turn with a pcap file alone. On loopback: the broker is there. */
async function beside(place: Place, broker: KafkaBroker, settings: Settings): Promise<Row> {
  const here: Place = {
    folder: place.folder,
    pages: place.pages,
    receiverAddress: '127.0.0.1',
    senderDevice: 'lo',
    inReceiver: (argv) => [...argv],
    inSender: (argv) => [...argv],
  }
  const ours: number[] = []
  const alone: number[] = []
  for (let i = 0; i < Math.max(3, settings.repeats); i++) {
    ours.push((await attempt(here, pcapBeside(broker), INNER_BYTES, BESIDE_RATE, settings.seconds)).lost)
    alone.push((await attempt(here, pcapBeside(undefined), INNER_BYTES, BESIDE_RATE, settings.seconds)).lost)
  }
  return {
    part: 'kafka',
    measure: `lost by a pcap file at ${BESIDE_RATE / 1000} k/s while the broker beside it is stopped`,
    ours: ours.join(', '),
    yardstick: `pcap file alone: ${alone.join(', ')}`,
    target: 'median no more than alone',
    holds: median(ours) <= median(alone),
    samples: [ours, alone],
  }
}

function pcapBeside(broker: KafkaBroker | undefined): Receiver {
  return {
    name: broker === undefined ? 'pcap alone' : 'pcap beside a stopped broker',
    async start(place) {
      const topic = `bench-${performance.now()}`
      await broker?.createTopic(topic)
      const file = join(place.folder, 'beside.pcap')
      const report = join(place.folder, 'report.json')
      const sinks = ['--out', `pcap:${file}`]
      if (broker !== undefined) sinks.push('--out', `kafka:${broker.address}/${topic}`)
      const program = new Program([
        process.execPath,
        COMMAND,
        '--listen',
        `127.0.0.1:${VXLAN_PORT}`,
        ...sinks,
        '--report',
        report,
      ])
      await program.says('listening')
      if (broker !== undefined) process.kill(broker.pid, 'SIGSTOP')
      return {
        pid: program.pid,
        size: () => statSync(file).size,
        isFile: true,
        async stop() {
          await program.stop()
          if (broker !== undefined) process.kill(broker.pid, 'SIGCONT')
          const { sinks: counts, kernelDropped } = JSON.parse(readFileSync(report, 'utf8')) as Report
          rmSync(report)
          place.pages.take(file)
          return { written: counts[0]!.written, kernelDropped }
        },
      }
    },
  }
}
