/** What keeps a client from its work, as far as the answer to it differs. */
export type KafkaTrouble = 'unreachable' | 'credentials' | 'no-topic' | 'forbidden'

export interface KafkaProblem {
  readonly trouble: KafkaTrouble
  /** For people: half a sentence. */
  readonly text: string
}

interface KafkaError extends Error {
  readonly type?: string
  readonly code?: string | number
  readonly originalError?: unknown
}

const BY_TYPE: Readonly<Record<string, KafkaTrouble>> = {
  SASL_AUTHENTICATION_FAILED: 'credentials',
  UNSUPPORTED_SASL_MECHANISM: 'credentials',
  ILLEGAL_SASL_STATE: 'credentials',
  UNKNOWN_TOPIC_OR_PARTITION: 'no-topic',
  INVALID_TOPIC_EXCEPTION: 'no-topic',
  TOPIC_AUTHORIZATION_FAILED: 'forbidden',
  GROUP_AUTHORIZATION_FAILED: 'forbidden',
  CLUSTER_AUTHORIZATION_FAILED: 'forbidden',
}

/** What an error of the client library means: it wraps the one that tells in others. */
export function describeKafkaError(error: unknown): KafkaProblem {
  let last: KafkaError = new Error(String(error))
  for (let cause = error; cause instanceof Error && cause !== last; ) {
    last = cause as KafkaError
    if (last.name === 'KafkaJSSASLAuthenticationError') return { trouble: 'credentials', text: last.message }
    const trouble = BY_TYPE[last.type ?? '']
    if (trouble !== undefined) return { trouble, text: last.message }
    cause = last.cause ?? last.originalError
  }
  return { trouble: 'unreachable', text: last.message === '' ? last.name : last.message }
}
