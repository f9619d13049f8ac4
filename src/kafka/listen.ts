import { z } from 'zod'
import { problem } from '../config/terms/problem.ts'
import { type AccessSettings, accessProblem, accessSettings } from './access-options.ts'

/** A topic to read, as `--listen kafka:` names it. */
export interface KafkaListen {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly group: string
  /** Where a group begins that has no place in the topic yet. */
  readonly from: 'earliest' | 'latest'
  readonly access: AccessSettings
}

/** What may stand behind `?`. */
export const listenSettings = z
  .strictObject({
    group: z.string().min(1, problem('the group has no name', 'Write e.g. group=ids.')).default('mirror-collector'),
    from: z.enum(['earliest', 'latest']).default('earliest'),
    ...accessSettings,
  })
  .superRefine((settings, context) => {
    const message = accessProblem(settings)
    if (message !== undefined) context.addIssue(message)
  })
