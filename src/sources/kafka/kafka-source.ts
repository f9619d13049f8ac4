import type { SourceType } from '../source.ts'

const BATCH_ROWS = 256
/** Records of a batch lie here one behind the other; the largest that a broker takes by default has 1 MiB. */
const WINDOW_BYTES = 8 << 20

export const kafkaSource: SourceType = {
  engine: 'kafka',
  outerHeaders: false,
  isDecapsulated: true,
  canWait: true,
  batchRows: BATCH_ROWS,
  drain: 'nothing',
  slabBytes: () => WINDOW_BYTES,
  // The client library is loaded where it is needed: it takes a tenth of a second.
  open: async (plan, context) => (await import('./topic-reader.ts')).openTopic(plan.kafka!, context),
}
