import { Bell } from '../../src/frames/bell.ts'
import { RecordConsumer } from '../../src/frames/record-consumer.ts'
import { RecordProducer } from '../../src/frames/record-producer.ts'
import { createRecordQueue, type RecordQueueWiring } from '../../src/frames/record-queue.ts'

/** The ring lies in the middle of the slab; nothing may be written around it. */
export const RING_AT = 4096

export interface Segment {
  readonly records: string[]
  readonly frames: number
  readonly series: number
  readonly lastSecond: number
}

/** Both ends of a queue in one thread. */
export class Queue {
  readonly slab: Uint8Array
  readonly wiring: RecordQueueWiring
  readonly producer: RecordProducer
  readonly consumer: RecordConsumer

  constructor(ringBytes: number) {
    this.slab = new Uint8Array(new SharedArrayBuffer(RING_AT + ringBytes + 4096)).fill(0xa5)
    this.wiring = createRecordQueue(RING_AT, ringBytes)
    this.producer = new RecordProducer(this.wiring)
    this.consumer = new RecordConsumer(this.wiring, this.slab)
  }

  /** Writes a record of at least 8 bytes: its length and number, then filling. False when there is no room. */
  put(number: number, length: number, series = 0, second = 0): boolean {
    const at = this.producer.reserve(length, series)
    if (at < 0) return false
    const view = new DataView(this.slab.buffer)
    view.setUint32(at, length)
    view.setUint32(at + 4, number)
    this.slab.fill(number & 0xff, at + 8, at + length)
    this.producer.commit(length, 1, second, second)
    return true
  }

  get consumerSleeps(): boolean {
    return new Bell(this.wiring.bell).hasSleeper()
  }

  /** The consumer sleeps until there is something to take, or nothing will come. */
  wait(milliseconds: number): void {
    new Bell(this.wiring.bell).wait(milliseconds, this.#isIdle)
  }

  async waitInEventLoop(milliseconds: number): Promise<void> {
    await new Bell(this.wiring.bell).waitInEventLoop(milliseconds, this.#isIdle)
  }

  readonly #isIdle = (): boolean => this.consumer.isEmpty() && !this.consumer.closed()

  /** Takes one segment out, without giving its memory back. */
  take(): Segment | undefined {
    const { consumer } = this
    if (!consumer.take()) return undefined
    const { frames, series, lastSecond } = consumer
    return { records: this.#records(), frames, series, lastSecond }
  }

  /** Takes everything out, and gives the memory back; `number/length` of each record. */
  drain(): string[] {
    const records: string[] = []
    for (let segment = this.take(); segment !== undefined; segment = this.take()) records.push(...segment.records)
    if (records.length > 0) this.consumer.release()
    return records
  }

  /** Whether the bytes around the ring are as they were. */
  isSoundAround(): boolean {
    const behind = RING_AT + this.wiring.byteLength
    return [this.slab.subarray(0, RING_AT), this.slab.subarray(behind)].every((part) => part.every((b) => b === 0xa5))
  }

  #records(): string[] {
    const view = new DataView(this.slab.buffer)
    const records: string[] = []
    for (let at = this.consumer.start; at < this.consumer.end; ) {
      const length = view.getUint32(at)
      const number = view.getUint32(at + 4)
      if (length < 8 || at + length > this.consumer.end) throw new Error(`a length of ${length} at ${at}`)
      const filling = this.slab.subarray(at + 8, at + length)
      if (filling.some((byte) => byte !== (number & 0xff))) throw new Error(`record ${number} was overwritten`)
      records.push(`${number}/${length}`)
      at += length
    }
    return records
  }
}
