import { z } from 'zod'
import { problem } from '../../config/terms/problem.ts'
import { byteSize, duration } from '../../config/terms/units.ts'

const HOW = 'Write kafka:HOST:PORT[,HOST:PORT]/TOPIC, e.g. kafka:broker1:9092,broker2:9092/mirror-{vni}.'
/** As Kafka's own client checks them; the fields stand for such characters. */
const TOPIC = /^(?:[A-Za-z0-9._-]|\{vni\}|\{encap\})+$/
const LONGEST_TOPIC = 200
const BROKER = /^[A-Za-z0-9._-]+:\d{1,5}$/
/** Smaller, and each frame would be a request. */
const SMALLEST_BATCH = 4096
/** What brokers take unless they are told otherwise is a little more. */
const LARGEST_BATCH = 100 << 20

const target = z.string().transform((text, context) => {
  const slash = text.indexOf('/')
  const brokers = text.slice(0, slash).split(',')
  const topic = text.slice(slash + 1)
  const reject = (what: string) => {
    context.addIssue(problem(what, HOW))
    return z.NEVER
  }
  if (slash < 0) return reject('no topic is named')
  const wrong = brokers.find((broker) => !BROKER.test(broker) || Number(broker.split(':')[1]) > 65_535)
  if (wrong !== undefined) return reject(`"${wrong}" is not HOST:PORT; an IPv6 address needs a name`)
  if (!TOPIC.test(topic)) {
    return reject(`"${topic}" is not the name of a topic: letters, digits, ".", "_", "-", {vni} and {encap}`)
  }
  if (topic.length > LONGEST_TOPIC) return reject(`the topic's name is longer than ${LONGEST_TOPIC}`)
  return { brokers, topic }
})

export const kafkaOptions = z
  .strictObject({
    target,
    format: z.enum(['frame', 'pcapng']).default('frame'),
    key: z.enum(['time', 'vni', 'flow']).default('time'),
    acks: z.enum(['all', '1', '0']).default('all'),
    idempotence: z.enum(['on', 'off']).optional(),
    compress: z.enum(['gzip']).optional(),
    batch: byteSize
      .refine((bytes) => bytes >= SMALLEST_BATCH, problem('is below 4KiB', 'Write e.g. batch=512KiB.'))
      .refine((bytes) => bytes <= LARGEST_BATCH, problem('is above 100MiB', 'Write e.g. batch=512KiB.'))
      .prefault('512KiB'),
    linger: duration.prefault('50ms'),
    tls: z.enum(['on']).optional(),
    'tls-ca': z.string().optional(),
    'tls-cert': z.string().optional(),
    'tls-key': z.string().optional(),
    sasl: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional(),
    user: z.string().optional(),
    'password-env': z.string().optional(),
    'password-file': z.string().optional(),
    spool: z.string().min(1).optional(),
    'spool-size': byteSize.prefault('1GiB'),
  })
  .refine(
    ({ acks, idempotence }) => idempotence !== 'on' || acks === 'all',
    problem('idempotence=on needs acks=all', 'Leave one of them out.'),
  )

export type KafkaOptions = z.output<typeof kafkaOptions>
