import { RecordBatch } from '../../kafka/record-batch.ts'

/** Frames for one partition, gathered until there are enough of them or the first has waited long enough. */
export class OpenBatch {
  readonly topic: string
  readonly partition: number
  readonly records: RecordBatch
  /** By performance.now(). */
  readonly since: number
  frames = 0

  constructor(topic: string, partition: number, limit: number) {
    this.topic = topic
    this.partition = partition
    this.records = new RecordBatch(limit)
    this.since = performance.now()
  }
}

/** Frames on their way to one partition: a record batch as it goes out. */
export interface ClosedBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
  readonly frames: number
  /** From an earlier run, which has accounted for its frames. */
  readonly isEarlier: boolean
  /** What the spool calls it; absent = it is in memory only. */
  readonly spoolNumber?: number
}
