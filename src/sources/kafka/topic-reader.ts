import { EXIT_NO_PERMISSION, EXIT_UNAVAILABLE, Failure } from '../../config/terms/failure.ts'
import type { FrameBatch } from '../../frames/frame-batch.ts'
import { readAccess } from '../../kafka/access-options.ts'
import { createConsumer, type FetchedRecords, fetchedRecords, type TopicConsumer } from '../../kafka/client.ts'
import { describeKafkaError } from '../../kafka/describe.ts'
import type { KafkaListen } from '../../kafka/listen.ts'
import type { Source, SourceContext } from '../source.ts'
import { RecordUnpacker } from './record-unpacker.ts'

const HEARTBEAT_MS = 2000

/** Offsets by partition: of each the first that was not received yet. */
type Place = ReadonlyMap<number, string>

interface Fetched {
  readonly payload: FetchedRecords
  next: number
  done(): void
}

/** One member of a consumer group, on one topic. */
class TopicReader implements Source {
  readonly description: readonly string[]
  readonly warnings: readonly string[] = []
  readonly #consumer: TopicConsumer
  readonly #listen: KafkaListen
  readonly #context: SourceContext
  readonly #unpacker: RecordUnpacker
  /** What the client has fetched of one partition, and the next batch of it to open. */
  #fetched: Fetched | undefined
  #place: Map<number, string> = new Map()
  #wake: () => void = () => {}
  #lastHeartbeat = 0
  #isClosed = false
  #hasSaidUnreadable = false

  constructor(consumer: TopicConsumer, listen: KafkaListen, context: SourceContext) {
    this.#consumer = consumer
    this.#listen = listen
    this.#context = context
    this.#unpacker = new RecordUnpacker(context)
    this.description = [`${listen.brokers.join(',')}/${listen.topic} (kafka, group ${listen.group})`]
  }

  async open(): Promise<void> {
    const consumer = this.#consumer
    const { topic, from } = this.#listen
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: from === 'earliest' })
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      const mine = new Set(payload.memberAssignment[topic] ?? [])
      // What is not ours any more must not be committed: it would take its new reader back.
      for (const partition of this.#place.keys()) if (!mine.has(partition)) this.#place.delete(partition)
      this.#context.say(`Reading partitions ${[...mine].join(', ') || '(none)'} of ${topic}.`, 'info')
    })
    consumer.on(consumer.events.CRASH, ({ payload: { error } }) => {
      // A group's first member meets a coordinator that is being chosen.
      if (/coordinator/i.test(error.message)) return
      this.#context.say(`Reading ${topic} is interrupted: ${describeKafkaError(error).text}`)
    })
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#offer(fetchedRecords(payload)),
    })
  }

  async receive(batch: FrameBatch, maxRows: number, milliseconds: number): Promise<number> {
    batch.count = 0
    if (this.#fetched === undefined) await this.#arrival(milliseconds)
    this.#unpacker.begin(batch, maxRows)
    while (this.#fetched !== undefined && this.#unpacker.hasRoom && this.#takeSome(this.#fetched));
    await this.#heartbeat()
    return batch.count
  }

  kernelDrops(): number {
    return 0
  }

  mark(): Place {
    return new Map(this.#place)
  }

  async settled(place: Place): Promise<void> {
    const { topic } = this.#listen
    const offsets = [...place]
      .filter(([partition]) => this.#place.has(partition))
      .map(([partition, offset]) => ({ topic, partition, offset }))
    if (offsets.length === 0) return
    try {
      await this.#consumer.commitOffsets(offsets)
    } catch {
      // The group is being rebalanced, or the coordinator is away: what is not committed is read again.
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#release()
    await this.#consumer.disconnect().catch(() => {})
  }

  /** Takes records of one batch; false when what follows has to wait. */
  #takeSome(fetched: Fetched): boolean {
    const { payload } = fetched
    const { batches, fetchedOffset } = payload.batch
    const opened = batches[fetched.next]
    if (opened === undefined) {
      this.#release()
      return true
    }
    const unpacker = this.#unpacker
    if (!unpacker.isOpen) {
      try {
        unpacker.open(opened)
      } catch (error) {
        // Asked for again, they would come again: readers behind them would never be served.
        if (!unpacker.addNothing()) return false
        this.#sayUnreadable(error as Error)
        this.#keep(payload, Number(opened.offset) + 1)
        fetched.next++
        return true
      }
    }
    const taken = unpacker.take(Number(fetchedOffset))
    if (taken !== undefined) this.#keep(payload, taken)
    if (unpacker.isOpen) return false
    // The last record of a batch may have been compacted away.
    this.#keep(payload, Number(opened.offset) + 1)
    fetched.next++
    return true
  }

  #keep(payload: FetchedRecords, offset: number): void {
    payload.resolveOffset(String(offset - 1))
    this.#place.set(payload.batch.partition, String(offset))
  }

  /** Lets the client go on. */
  #release(): void {
    const fetched = this.#fetched
    this.#fetched = undefined
    this.#unpacker.abandon()
    fetched?.done()
  }

  /** Once: a topic that is written so has many. */
  #sayUnreadable({ message }: Error): void {
    if (this.#hasSaidUnreadable) return
    this.#hasSaidUnreadable = true
    this.#context.say(`Batches of ${this.#listen.topic} are passed over, each counted as one short-frame: ${message}.`)
  }

  /** Holds the client until every record of what it has fetched was received. */
  async #offer(payload: FetchedRecords): Promise<void> {
    if (this.#isClosed) return
    await new Promise<void>((done) => {
      this.#fetched = { payload, next: 0, done }
      this.#wake()
    })
  }

  async #arrival(milliseconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      timer = setTimeout(resolve, milliseconds)
    })
    clearTimeout(timer)
  }

  /** While sinks take their time; the client itself does it between what it fetches. */
  async #heartbeat(): Promise<void> {
    if (this.#fetched === undefined || performance.now() - this.#lastHeartbeat < HEARTBEAT_MS) return
    this.#lastHeartbeat = performance.now()
    try {
      await this.#fetched.payload.heartbeat()
    } catch {
      // The group gives its partitions out anew. What is left of this one's records is somebody's, perhaps ours, to read again.
      this.#release()
    }
  }
}

/** Joins the group. @throws Failure */
export async function openTopic(listen: KafkaListen, context: SourceContext): Promise<Source> {
  const consumer = createConsumer(readAccess(listen.brokers, listen.access), listen.group)
  const reader = new TopicReader(consumer, listen, context)
  try {
    await reader.open()
    return reader
  } catch (error) {
    await reader.close()
    const { trouble, text } = describeKafkaError(error)
    const where = `Kafka at ${listen.brokers.join(',')}`
    if (trouble === 'credentials' || trouble === 'forbidden') {
      const mend = 'Look at sasl=, user= and the password, and at what the user may read.'
      throw new Failure(EXIT_NO_PERMISSION, `${where} refuses: ${text}.`, mend)
    }
    if (trouble === 'no-topic') {
      const mend = `kcat -b ${listen.brokers[0]} -L lists those it has.`
      throw new Failure(EXIT_UNAVAILABLE, `${where} has no topic ${listen.topic}.`, mend)
    }
    const mend = 'Is the address right, the broker running, TLS on both sides or on none?'
    throw new Failure(EXIT_UNAVAILABLE, `${where} cannot be reached: ${text}.`, mend)
  }
}
