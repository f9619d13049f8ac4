import { z } from 'zod'
import { problem } from '../../config/terms/problem.ts'
import { byteSize, duration } from '../../config/terms/units.ts'
import type { KafkaAccess } from '../../kafka/access.ts'
import { accessProblem, accessSettings, parseTarget } from '../../kafka/access-options.ts'
import type { KeyKind } from './keys.ts'

const HOW = 'Write kafka:HOST:PORT[,HOST:PORT]/TOPIC, e.g. kafka:broker1:9092,broker2:9092/mirror-{vni}.'
/** Smaller, and a frame might not fit in. */
const SMALLEST_BATCH = 128 << 10
const LARGEST_BATCH = 64 << 20

const target = z.string().superRefine((text, context) => {
  const result = parseTarget(text)
  if (typeof result === 'string') context.addIssue(problem(result, HOW))
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
      .refine((bytes) => bytes >= SMALLEST_BATCH, problem('is below 128KiB', 'Write e.g. batch=512KiB.'))
      .refine((bytes) => bytes <= LARGEST_BATCH, problem('is above 64MiB', 'Write e.g. batch=512KiB.'))
      .prefault('512KiB'),
    linger: duration.prefault('50ms'),
    spool: z.string().min(1).optional(),
    'spool-size': byteSize.prefault('1GiB'),
    ...accessSettings,
  })
  .superRefine((options, context) => {
    const access = accessProblem(options)
    if (access !== undefined) context.addIssue(access)
    if (options.idempotence === 'on' && options.acks !== 'all') {
      context.addIssue(problem('idempotence=on needs acks=all', 'Leave one of them out.'))
    }
  })

export type KafkaOptions = z.output<typeof kafkaOptions>

/** What the sink's thread is made from. */
export interface ProducerOptions {
  readonly access: KafkaAccess
  readonly topic: string
  readonly format: 'frame' | 'pcapng'
  readonly key: KeyKind
  readonly acks: number
  readonly idempotent: boolean
  readonly compress: boolean
  readonly batchBytes: number
  readonly lingerMs: number
  readonly spool: { readonly folder: string; readonly limit: number } | undefined
}
