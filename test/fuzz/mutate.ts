import type { Corpus, SoundPacket } from './corpus.ts'
import type { Random } from './random.ts'

/** What is changed in place, over and over, into the packet that is tried next. */
export interface Mutant {
  readonly bytes: Uint8Array
  /** Bytes of the packet; the rest of what it was may still stand behind them. */
  captured: number
  wireLength: number
  linkType: number
}

const MUTANT_BYTES = 128 * 1024
/** Mutants beyond this are of packets that were as large before. */
const LARGE = 9216
/** Where headers are. */
const FRONT = 160

const BYTES = [
  0, 1, 2, 4, 5, 6, 8, 17, 44, 47, 50, 58, 60, 0x0f, 0x20, 0x40, 0x45, 0x4f, 0x60, 0x7f, 0x80, 0x81, 0x88, 0xff,
]
/** Lengths, ports of tunnels, EtherTypes, protocols of GRE: what 16 bits in a header decide by. */
const WORDS = [
  0, 1, 4, 7, 8, 13, 14, 19, 20, 27, 28, 39, 40, 0x2000, 0x3fff, 0x7fff, 0x8000, 0xffff, 443, 4789, 4790, 4754, 6081,
  8472, 37_008, 0x0800, 0x0806, 0x86dd, 0x8100, 0x88a8, 0x9100, 0x88be, 0x22eb, 0x6558, 0x8847, 0x894f,
]
const LINK_TYPES = [0, 1, 101, 108, 113, 228, 229, 276, 0, 0xfffe]
/** Ethernet, IPv4, UDP, and 8 bytes of VXLAN, VXLAN-GPE or Geneve without options. */
const TUNNEL_BYTES = 50

export function emptyMutant(): Mutant {
  return { bytes: new Uint8Array(MUTANT_BYTES), captured: 0, wireLength: 0, linkType: 1 }
}

/** Makes of the mutant a packet of the corpus with up to seven changes; one in eight has none. */
export function mutate(mutant: Mutant, corpus: Corpus, random: Random): void {
  copy(mutant, anyPacket(corpus, random))
  for (let changes = random.below(8); changes > 0; changes--) change(mutant, corpus, random)
}

/** Large packets are rare, as they take as long as a hundred others. */
function anyPacket(corpus: Corpus, random: Random): SoundPacket {
  for (;;) {
    const packet = random.pick(random.pick(corpus))
    if (packet.bytes.length <= 2048 || (packet.bytes.length <= MUTANT_BYTES && random.oneIn(20))) return packet
  }
}

function copy(mutant: Mutant, { bytes, wireLength, linkType }: SoundPacket): void {
  mutant.bytes.set(bytes)
  mutant.captured = bytes.length
  mutant.wireLength = wireLength
  mutant.linkType = linkType
}

type Change = (mutant: Mutant, random: Random, corpus: Corpus) => void

const CHANGES: readonly Change[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  setWord,
  setWord,
  setLengthWord,
  copyWord,
  cut,
  cut,
  cutOnTheWire,
  longerOnTheWire,
  remove,
  insert,
  splice,
  wrap,
  wrap,
  anywhere,
  relink,
]

function change(mutant: Mutant, corpus: Corpus, random: Random): void {
  random.pick(CHANGES)(mutant, random, corpus)
}

function front({ captured }: Mutant, random: Random): number {
  return random.below(Math.max(1, Math.min(captured, FRONT)))
}

function flipBit(mutant: Mutant, random: Random): void {
  mutant.bytes[front(mutant, random)]! ^= 1 << random.below(8)
}

function setByte(mutant: Mutant, random: Random): void {
  mutant.bytes[front(mutant, random)] = random.pick(BYTES)
}

function anywhere(mutant: Mutant, random: Random): void {
  mutant.bytes[random.below(mutant.captured + 1)] = random.next() & 0xff
}

function writeWord({ bytes }: Mutant, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value
}

function setWord(mutant: Mutant, random: Random): void {
  writeWord(mutant, front(mutant, random), random.pick(WORDS))
}

/** A length that fits what is there, or misses it by a little. */
function setLengthWord(mutant: Mutant, random: Random): void {
  const at = front(mutant, random)
  writeWord(mutant, at, (mutant.captured - at + random.below(5) - 2) & 0xffff)
}

function copyWord(mutant: Mutant, random: Random): void {
  const from = front(mutant, random)
  mutant.bytes.copyWithin(front(mutant, random), from, from + 2)
}

/** By a snap length: what follows stays behind the packet, where nobody may read it. */
function cut(mutant: Mutant, random: Random): void {
  mutant.captured = random.below(random.oneIn(4) ? mutant.captured + 1 : Math.min(mutant.captured + 1, FRONT))
}

function cutOnTheWire(mutant: Mutant, random: Random): void {
  cut(mutant, random)
  mutant.wireLength = mutant.captured
}

function longerOnTheWire(mutant: Mutant, random: Random): void {
  mutant.wireLength = mutant.captured + random.pick([1, 4, 14, 100, 1500, 65_536, 0xffff_0000 - mutant.captured])
}

function remove(mutant: Mutant, random: Random): void {
  const at = front(mutant, random)
  const length = Math.min(1 + random.below(24), mutant.captured - at)
  mutant.bytes.copyWithin(at, at + length, mutant.captured)
  resize(mutant, mutant.captured - length)
}

function insert(mutant: Mutant, random: Random): void {
  if (mutant.captured > LARGE) return
  const at = front(mutant, random)
  const length = 1 + random.below(24)
  mutant.bytes.copyWithin(at + length, at, mutant.captured)
  resize(mutant, mutant.captured + length)
}

/** The end of another packet behind the beginning of this one. */
function splice(mutant: Mutant, random: Random, corpus: Corpus): void {
  const { bytes } = anyPacket(corpus, random)
  const from = random.below(Math.min(bytes.length, FRONT))
  const at = front(mutant, random)
  if (bytes.length > LARGE) return
  mutant.bytes.set(bytes.subarray(from), at)
  resize(mutant, at + bytes.length - from)
}

/** Into a tunnel, with the head of another packet, whose lengths are made to fit. */
function wrap(mutant: Mutant, random: Random, corpus: Corpus): void {
  const { bytes } = anyPacket(corpus, random)
  if (mutant.captured > LARGE || bytes.length < TUNNEL_BYTES) return
  mutant.bytes.copyWithin(TUNNEL_BYTES, 0, mutant.captured)
  mutant.bytes.set(bytes.subarray(0, TUNNEL_BYTES))
  resize(mutant, mutant.captured + TUNNEL_BYTES)
  mutant.linkType = 1
  writeWord(mutant, 16, mutant.captured - 14)
  writeWord(mutant, 38, mutant.captured - 34)
}

function relink(mutant: Mutant, random: Random): void {
  if (random.oneIn(4)) mutant.linkType = random.pick(LINK_TYPES)
}

function resize(mutant: Mutant, captured: number): void {
  mutant.wireLength = Math.max(captured, mutant.wireLength + captured - mutant.captured)
  mutant.captured = captured
}
