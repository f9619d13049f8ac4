import { RecordConsumer } from '../../src/frames/record-consumer.ts'
import { createRecordQueue } from '../../src/frames/record-queue.ts'
import type { SinkPlan } from '../../src/pipeline/plan.ts'
import { SinkCounters } from '../../src/telemetry/counters.ts'
import { isUnwanted, VERDICTS } from '../../src/wire/verdict.ts'
import { Finding } from './finding.ts'

export const RING_BYTES = 8 << 20
const ENHANCED_PACKET = 6
const PACKET_AT = 28
const COMMENT = 1

/** The other end of a quarantine: takes out of its queue what the thread that writes files would. */
export class KeptPackets {
  readonly plan: SinkPlan
  readonly #counters: SinkCounters = new SinkCounters()
  readonly #consumer: RecordConsumer
  readonly #bytes: Buffer
  #taken = 0

  /** The ring is slab[byteOffset, byteOffset + RING_BYTES). */
  constructor(slab: SharedArrayBuffer, byteOffset: number) {
    const queue = createRecordQueue(byteOffset, RING_BYTES)
    this.#bytes = Buffer.from(slab)
    this.#consumer = new RecordConsumer(queue, new Uint8Array(slab))
    this.plan = {
      pipelineHalf: new URL('../../src/sinks/quarantine/packet-writer.ts', import.meta.url).href,
      wiring: { queue, overflow: 'drop' },
      counters: this.#counters.memory,
      sent: new SinkCounters().memory,
      id: 0,
      wanted: [],
      name: 'quarantine',
      linkType: undefined,
    }
  }

  /** The packets kept since the last call, each with its reason in front. */
  take(): string[] {
    const packets: string[] = []
    while (this.#consumer.take()) {
      const { start, end, frames } = this.#consumer
      const before = packets.length
      for (let at = start; at < end; ) at += this.#record(at, end, packets)
      if (packets.length - before !== frames) throw new Finding(`a segment of ${frames} has ${packets.length - before}`)
      this.#consumer.release()
    }
    this.#taken += packets.length
    return packets
  }

  /** draft-ietf-opsawg-pcapng section 4.3. Gives the block's length. */
  #record(at: number, end: number, packets: string[]): number {
    const bytes = this.#bytes
    const length = bytes.readUInt32LE(at + 4)
    if (
      bytes.readUInt32LE(at) !== ENHANCED_PACKET ||
      at + length > end ||
      bytes.readUInt32LE(at + length - 4) !== length
    )
      throw new Finding('what lies in the queue is no record')
    const captured = bytes.readUInt32LE(at + 20)
    const options = at + PACKET_AT + ((captured + 3) & ~3)
    const reason = bytes.toString('latin1', options + 4, options + 4 + bytes.readUInt16LE(options + 2))
    if (bytes.readUInt16LE(options) !== COMMENT || !VERDICTS.some((verdict) => verdict === reason))
      throw new Finding(`a packet is kept for "${reason}"`)
    packets.push(`${reason}: ${bytes.toString('latin1', at + PACKET_AT, at + PACKET_AT + captured)}`)
    return length
  }

  /** Once all are taken: as many are here, or lost to the queue, as were refused. */
  expectAll(dropped: Record<string, number>): void {
    const refused = VERDICTS.filter((_, verdict) => verdict > 0 && !isUnwanted(verdict))
    const expected = refused.reduce((sum, reason) => sum + (dropped[reason] ?? 0), 0)
    const { offered, taken } = this.#counters
    if (offered !== expected) throw new Finding(`${expected} packets were refused, ${offered} were to be kept`)
    if (taken !== this.#taken) throw new Finding(`${taken} packets went into the queue, ${this.#taken} came out`)
  }
}
