import type { FrameBatch } from '../../src/frames/frame-batch.ts'
import { LINKTYPE_ETHERNET, LINKTYPE_RAW } from '../../src/wire/link-type.ts'
import { Finding } from './finding.ts'
import { everything, Lane, type Setting, SOURCE_BYTES } from './lane.ts'
import { MARGIN, type Packets } from './packets.ts'
import type { Random } from './random.ts'

/** Does to a lane's batch, when its pipeline is done, what a defect in the pipeline would: tells whether this class sees it. */
export type Sabotage = (batch: FrameBatch) => void

/** What steps may change, but for the place. */
export const COLUMNS = [
  'captured',
  'wireLength',
  'seconds',
  'nanoseconds',
  'tunnelId',
  'encapsulation',
  'etherType',
  'peer',
  'linkType',
] as const

/**
 * Two pipelines that get the same packets amid different bytes: behind those of one lies what was cut off them, the most
 * likely thing to be read by mistake; around those of the other, noise. The other has a filter always, so that its frames go
 * through every step, where those of the first may take the fast path. Both must end alike, and leave alone what is not theirs.
 */
export class PipelinePair {
  readonly #setting: Setting
  readonly #lanes: readonly [Lane, Lane]
  readonly #sabotage: Sabotage | undefined
  /** What the lanes were given. */
  readonly #given: readonly [Buffer, Buffer] = [Buffer.alloc(SOURCE_BYTES), Buffer.alloc(SOURCE_BYTES)]
  readonly #noise: Buffer = Buffer.alloc(SOURCE_BYTES)

  private constructor(setting: Setting, lanes: readonly [Lane, Lane], random: Random, sabotage: Sabotage | undefined) {
    this.#setting = setting
    this.#lanes = lanes
    this.#sabotage = sabotage
    for (let at = 0; at < SOURCE_BYTES; at += 4) this.#noise.writeUInt32LE(random.next(), at)
  }

  static async create(setting: Setting, random: Random, sabotage?: Sabotage): Promise<PipelinePair> {
    const lanes = [
      await Lane.create(setting, 0),
      await Lane.create({ filter: everything(), ...setting }, 0xff),
    ] as const
    return new PipelinePair(setting, lanes, random, sabotage)
  }

  /** Reason -> packets, of one lane. */
  ends(): Record<string, number> {
    const { counters } = this.#lanes[0]
    return { delivered: counters.delivered, ...counters.dropped() }
  }

  /** Throws a Finding, or what the pipeline threw. */
  process(packets: Packets): void {
    const end = packets.start[packets.count - 1]! + packets.captured[packets.count - 1]! + MARGIN
    for (const [i, lane] of this.#lanes.entries()) {
      packets.copyTo(lane.batch, i === 0 ? undefined : this.#noise)
      lane.memory.copy(this.#given[i]!, 0, 0, end)
      lane.pipeline.process(lane.batch)
      this.#sabotage?.(lane.batch)
      const balance = lane.counters.balance()
      if (balance !== 0) throw new Finding(`${balance} packets came to no end`)
      this.#expectMargins(packets, lane.memory, this.#given[i]!)
      this.#expectPlaces(packets, lane.batch)
    }
    this.#expectSameKept()
    this.#expectSame()
  }

  /** No packet follows. */
  close(): void {
    for (const { pipeline, counters } of this.#lanes) {
      pipeline.close()
      if (counters.balance() !== 0) throw new Finding(`${counters.balance()} packets came to no end at the end`)
    }
    this.#expectSameKept()
    for (const { kept, counters } of this.#lanes) kept?.expectAll(counters.dropped())
    this.#expectSameCounters()
  }

  /** What lies between the packets. A socket's slots have room for an Ethernet header in front. */
  #expectMargins(packets: Packets, memory: Buffer, given: Buffer): void {
    const room = this.#setting.engine === 'udp' ? MARGIN : 0
    for (let row = 0; row < packets.count; row++) {
      const start = packets.start[row]!
      const end = start + packets.captured[row]!
      if (memory.compare(given, start - MARGIN, start - room, start - MARGIN, start - room) !== 0) {
        throw new Finding(`written in front of packet ${row}`)
      }
      const next = row + 1 < packets.count ? packets.start[row + 1]! - room : end + MARGIN
      if (next > end && memory.compare(given, end, next, end, next) !== 0) {
        throw new Finding(`written behind packet ${row}`)
      }
    }
  }

  /** Frames that are no reassembled ones lie each in its own packet, in the same order. */
  #expectPlaces(packets: Packets, batch: FrameBatch): void {
    const room = this.#setting.engine === 'udp' ? MARGIN : 0
    let packet = 0
    for (let row = 0; row < batch.count; row++) {
      const start = batch.offset[row]!
      const end = start + batch.captured[row]!
      if (batch.nanoseconds[row]! >= 1e9) throw new Finding(`frame ${row}: ${batch.nanoseconds[row]} ns`)
      if (batch.wireLength[row]! < batch.captured[row]!) throw new Finding(`frame ${row} is longer than on the wire`)
      if (batch.linkType[row] !== LINKTYPE_ETHERNET && batch.linkType[row] !== LINKTYPE_RAW) {
        throw new Finding(`frame ${row} has link type ${batch.linkType[row]}`)
      }
      if (end > batch.bytes.length) throw new Finding(`frame ${row} ends behind all memory`)
      if (start >= SOURCE_BYTES) continue
      while (packet < packets.count && packets.start[packet]! + packets.captured[packet]! < end) packet++
      if (packet === packets.count || start + room < packets.start[packet]!) {
        throw new Finding(`frame ${row} does not lie in a packet`)
      }
    }
  }

  #expectSame(): void {
    const [one, other] = this.#lanes
    this.#expectSameCounters()
    if (one.batch.count !== other.batch.count) {
      throw new Finding(`${one.batch.count} and ${other.batch.count} frames come out`)
    }
    for (let row = 0; row < one.batch.count; row++) {
      for (const column of COLUMNS) {
        const [mine, theirs] = [one.batch[column][row]!, other.batch[column][row]!]
        if (mine !== theirs) throw new Finding(`frame ${row}: ${column} is ${mine} and ${theirs}`)
      }
      const [at, otherAt] = [one.batch.offset[row]!, other.batch.offset[row]!]
      const length = one.batch.captured[row]!
      if (one.memory.compare(other.memory, otherAt, otherAt + length, at, at + length) !== 0) {
        throw new Finding(`frame ${row}: its bytes differ`)
      }
    }
  }

  /** What went into quarantine, where there is one. */
  #expectSameKept(): void {
    const [mine, theirs] = this.#lanes.map(({ pipeline, kept }) => {
      if (kept !== undefined) pipeline.flush()
      return kept?.take() ?? []
    })
    if (mine!.length !== theirs!.length) throw new Finding(`${mine!.length} and ${theirs!.length} packets are kept`)
    mine!.forEach((packet, i) => {
      if (packet !== theirs![i]) throw new Finding(`kept packet ${i} differs`)
    })
  }

  #expectSameCounters(): void {
    const [mine, theirs] = this.#lanes.map(({ counters }) => new Float64Array(counters.memory))
    mine!.forEach((value, i) => {
      if (value !== theirs![i]) throw new Finding(`counter ${i} is ${value} and ${theirs![i]}`)
    })
  }
}
