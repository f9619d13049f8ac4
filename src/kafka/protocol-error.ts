/** What the error code of a partition in a produce response asks for. */
export type Remedy = 'none' | 'retry' | 'split' | 'renumber' | 'give-up'

interface ProtocolError {
  readonly name: string
  readonly remedy: Remedy
}

/** https://kafka.apache.org/protocol#protocol_error_codes, those that a produce request can meet. */
const ERRORS: ReadonlyMap<number, ProtocolError> = new Map([
  [0, { name: 'NONE', remedy: 'none' }],
  [2, { name: 'CORRUPT_MESSAGE', remedy: 'retry' }],
  [3, { name: 'UNKNOWN_TOPIC_OR_PARTITION', remedy: 'retry' }],
  [5, { name: 'LEADER_NOT_AVAILABLE', remedy: 'retry' }],
  [6, { name: 'NOT_LEADER_OR_FOLLOWER', remedy: 'retry' }],
  [7, { name: 'REQUEST_TIMED_OUT', remedy: 'retry' }],
  [8, { name: 'BROKER_NOT_AVAILABLE', remedy: 'retry' }],
  [10, { name: 'MESSAGE_TOO_LARGE', remedy: 'split' }],
  [13, { name: 'NETWORK_EXCEPTION', remedy: 'retry' }],
  [17, { name: 'INVALID_TOPIC_EXCEPTION', remedy: 'give-up' }],
  [18, { name: 'RECORD_LIST_TOO_LARGE', remedy: 'split' }],
  [19, { name: 'NOT_ENOUGH_REPLICAS', remedy: 'retry' }],
  [20, { name: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', remedy: 'retry' }],
  [29, { name: 'TOPIC_AUTHORIZATION_FAILED', remedy: 'give-up' }],
  [31, { name: 'CLUSTER_AUTHORIZATION_FAILED', remedy: 'give-up' }],
  [45, { name: 'OUT_OF_ORDER_SEQUENCE_NUMBER', remedy: 'renumber' }],
  // The broker has this batch already: our first try arrived, its answer did not.
  [46, { name: 'DUPLICATE_SEQUENCE_NUMBER', remedy: 'none' }],
  [47, { name: 'INVALID_PRODUCER_EPOCH', remedy: 'renumber' }],
  [56, { name: 'KAFKA_STORAGE_ERROR', remedy: 'retry' }],
  [59, { name: 'UNKNOWN_PRODUCER_ID', remedy: 'renumber' }],
  [87, { name: 'INVALID_RECORD', remedy: 'give-up' }],
  [89, { name: 'THROTTLING_QUOTA_EXCEEDED', remedy: 'retry' }],
])

export function remedyFor(errorCode: number): Remedy {
  return ERRORS.get(errorCode)?.remedy ?? 'give-up'
}

export function errorName(errorCode: number): string {
  return ERRORS.get(errorCode)?.name ?? `error ${errorCode}`
}
