import type { FrameBatch } from '../../src/frames/frame-batch.ts'
import { LINKTYPE_TUNNEL } from '../../src/wire/link-type.ts'
import { ENCAPSULATIONS, encapsulationNamed, encapsulationOfPort } from '../../src/wire/registry.ts'
import type { Corpus } from './corpus.ts'
import { ROWS, SOURCE_BYTES } from './lane.ts'
import { emptyMutant, type Mutant, mutate } from './mutate.ts'
import type { Random } from './random.ts'

/** Free bytes on both sides of each packet. */
export const MARGIN = 64

const SECOND_OF_START = 1_700_000_000
const ETHERNET_BYTES = 14
const IPV4_BYTES = 20
const IPV6_BYTES = 40
const UDP_BYTES = 8
const GRE = encapsulationNamed('gre')

/** A batch of packets as a source would put them there, and what follows each where its end was cut off. */
export class Packets {
  count = 0
  readonly memory: Buffer = Buffer.alloc(SOURCE_BYTES)
  /** Of each packet with MARGIN in front and behind, one after another. */
  readonly start: Uint32Array = new Uint32Array(ROWS)
  readonly captured: Uint32Array = new Uint32Array(ROWS)
  readonly wireLength: Uint32Array = new Uint32Array(ROWS)
  readonly seconds: Uint32Array = new Uint32Array(ROWS)
  readonly nanoseconds: Uint32Array = new Uint32Array(ROWS)
  readonly linkType: Uint16Array = new Uint16Array(ROWS)
  readonly encapsulation: Uint8Array = new Uint8Array(ROWS)
  readonly #mutant: Mutant = emptyMutant()
  #microseconds = 0

  /** `isTunnel`: without outer headers, as sockets deliver them. `jumps`: clocks that are set while packets come. */
  make(corpus: Corpus, random: Random, { isTunnel, jumps }: { isTunnel: boolean; jumps: boolean }): void {
    const rows = 1 + random.below(ROWS)
    let at = 0
    for (this.count = 0; this.count < rows; this.count++) {
      mutate(this.#mutant, corpus, random)
      this.encapsulation[this.count] = isTunnel ? stripOuter(this.#mutant, random) : 0
      if (at + this.#mutant.captured + 2 * MARGIN > SOURCE_BYTES) return
      this.#stamp(this.count, random, jumps)
      at = this.#put(this.count, at + MARGIN + random.below(4))
    }
  }

  #stamp(row: number, random: Random, jumps: boolean): void {
    this.#microseconds += random.below(1000)
    this.seconds[row] =
      jumps && random.oneIn(50) ? random.next() : SECOND_OF_START + Math.floor(this.#microseconds / 1e6)
    this.nanoseconds[row] = (this.#microseconds % 1e6) * 1000 + random.below(1000)
  }

  #put(row: number, at: number): number {
    const { bytes, captured } = this.#mutant
    this.start[row] = at
    this.captured[row] = captured
    this.wireLength[row] = Math.max(captured, this.#mutant.wireLength)
    this.linkType[row] = this.#mutant.linkType
    this.memory.set(bytes.subarray(0, captured + MARGIN), at)
    return at + captured + MARGIN
  }

  /** Into a batch that has the same packets and, if `around` is given, other bytes between them. */
  copyTo(batch: FrameBatch, around: Uint8Array | undefined): void {
    const { count } = this
    const end = this.start[count - 1]! + this.captured[count - 1]! + MARGIN
    batch.bytes.set(around === undefined ? this.memory.subarray(0, end) : around.subarray(0, end))
    for (let row = 0; row < count; row++) {
      const start = this.start[row]!
      if (around !== undefined) this.memory.copy(batch.bytes, start, start, start + this.captured[row]!)
      batch.offset[row] = start
    }
    batch.captured.set(this.captured)
    batch.wireLength.set(this.wireLength)
    batch.seconds.set(this.seconds)
    batch.nanoseconds.set(this.nanoseconds)
    batch.linkType.set(this.linkType)
    batch.encapsulation.set(this.encapsulation)
    batch.peer.fill(0)
    batch.count = count
  }

  /** One packet of these, alone. */
  only(row: number): Packets {
    const alone = new Packets()
    const end = this.start[row]! + this.captured[row]! + MARGIN
    this.memory.copy(alone.memory, MARGIN, this.start[row]!, end)
    alone.count = 1
    alone.start[0] = MARGIN
    for (const column of ['captured', 'wireLength', 'seconds', 'nanoseconds', 'linkType', 'encapsulation'] as const) {
      alone[column][0] = this[column][row]!
    }
    return alone
  }

  describe(row: number): string {
    const start = this.start[row]!
    const captured = this.captured[row]!
    const bytes = this.memory.toString('hex', start, start + Math.min(captured, 2048))
    const what = `${captured} bytes of ${this.wireLength[row]}, link type ${this.linkType[row]}, ${this.encapsulation[row]}`
    return `${what}\n${bytes}`
  }
}

/** Nearly as a socket would: a guess is good enough for bytes that are wrong anyway. Gives the encapsulation. */
function stripOuter(mutant: Mutant, random: Random): number {
  const { bytes } = mutant
  const isIpv6 = bytes[12] === 0x86 && bytes[13] === 0xdd
  const ip = ETHERNET_BYTES + (isIpv6 ? IPV6_BYTES : IPV4_BYTES)
  const protocol = bytes[ETHERNET_BYTES + (isIpv6 ? 6 : 9)]!
  const port = (bytes[ip + 2]! << 8) | bytes[ip + 3]!
  const known = protocol === 47 ? GRE : encapsulationOfPort(port)
  const headers = Math.min(mutant.captured, protocol === 47 ? ip : ip + UDP_BYTES)
  bytes.copyWithin(0, headers, mutant.captured + MARGIN)
  mutant.captured -= headers
  mutant.wireLength = Math.max(mutant.captured, mutant.wireLength - headers)
  mutant.linkType = LINKTYPE_TUNNEL
  return known < 0 || random.oneIn(20) ? random.below(ENCAPSULATIONS.length) : known
}
