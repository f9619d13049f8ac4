import { addressBytes } from '../../frames/cidr-list.ts'
import { PEER_OTHER, type PeerTable } from '../../frames/peer-table.ts'
import {
  HEADER_ENCAPSULATION,
  HEADER_LINK_TYPE,
  HEADER_ORIGINAL_LENGTH,
  HEADER_PEER,
  HEADER_TIME,
  HEADER_VNI,
} from '../../kafka/frame-headers.ts'
import type { RecordCursor } from '../../kafka/record-cursor.ts'
import { LINKTYPE_ETHERNET } from '../../wire/link-type.ts'
import { encapsulationNamed } from '../../wire/registry.ts'

const NAMES = [
  HEADER_VNI,
  HEADER_ENCAPSULATION,
  HEADER_PEER,
  HEADER_ORIGINAL_LENGTH,
  HEADER_TIME,
  HEADER_LINK_TYPE,
] as const
const [VNI, ENCAPSULATION, PEER, ORIGINAL_LENGTH, TIME, LINK_TYPE] = [0, 1, 2, 3, 4, 5] as const
const NAME_BYTES: readonly Buffer[] = NAMES.map((name) => Buffer.from(name, 'latin1'))
/** ::, for a peer that is not told. */
const UNSPECIFIED = new Uint8Array(16)
const NANOSECOND_DIGITS = 9
const MOST_DIGITS = 19
const LARGEST_UINT32 = 0xffff_ffff
/** Texts whose meaning is kept: a header that says something new each time finds them full, and costs what parsing costs. */
const KNOWN_TEXTS = 4096

/** What the headers of a record that holds one frame say. The fields are those of the last read(). */
export class FrameHeaders {
  /** Whether there is one that only such records have. */
  areOurs = false
  tunnelId = 0
  encapsulation = 0
  peer: number = PEER_OTHER
  /** 0: not told. */
  wireLength = 0
  linkType: number = LINKTYPE_ETHERNET
  /** -1: not told. */
  seconds = -1
  nanoseconds = 0
  readonly #encapsulations: KnownTexts<number> = new KnownTexts((text) => Math.max(0, encapsulationNamed(text)))
  readonly #addresses: KnownTexts<Uint8Array> = new KnownTexts((text) => addressBytes(text) ?? UNSPECIFIED)
  readonly #peers: PeerTable | undefined

  constructor(peers: PeerTable | undefined) {
    this.#peers = peers
  }

  /** False where they are damaged. */
  read(cursor: RecordCursor): boolean {
    this.areOurs = false
    this.tunnelId = 0
    this.encapsulation = 0
    this.wireLength = 0
    this.linkType = LINKTYPE_ETHERNET
    this.seconds = -1
    let address: Uint8Array = UNSPECIFIED
    for (let i = 0; i < cursor.headers; i++) {
      if (!cursor.nextHeader()) return false
      const { bytes, headerAt: at, headerLength: length } = cursor
      switch (nameOf(cursor)) {
        case VNI:
          this.tunnelId = Math.min(LARGEST_UINT32, numberAt(bytes, at, length))
          break
        case ENCAPSULATION:
          this.encapsulation = this.#encapsulations.meaning(bytes, at, length)
          break
        case PEER:
          if (this.#peers !== undefined) address = this.#addresses.meaning(bytes, at, length)
          break
        case ORIGINAL_LENGTH:
          this.areOurs = true
          this.wireLength = Math.min(LARGEST_UINT32, numberAt(bytes, at, length))
          break
        case TIME:
          this.areOurs = true
          this.#readTime(bytes, at, length)
          break
        case LINK_TYPE:
          this.linkType = numberAt(bytes, at, length)
      }
    }
    if (this.#peers !== undefined) this.peer = this.#peers.indexOf(address, 0, address.length)
    return true
  }

  #readTime(bytes: Buffer, at: number, length: number): void {
    if (!areDigits(bytes, at, length)) return
    const whole = Math.max(0, length - NANOSECOND_DIGITS)
    this.seconds = Math.min(LARGEST_UINT32, numberAt(bytes, at, whole))
    this.nanoseconds = numberAt(bytes, at + whole, length - whole)
  }
}

/** Index into NAMES, or -1. */
function nameOf({ bytes, nameAt, nameLength }: RecordCursor): number {
  for (let i = 0; i < NAME_BYTES.length; i++) {
    const name = NAME_BYTES[i]!
    if (name.length === nameLength && isSame(name, bytes, nameAt)) return i
  }
  return -1
}

function isSame(text: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (text[i] !== bytes[at + i]) return false
  return true
}

function areDigits(bytes: Uint8Array, at: number, length: number): boolean {
  if (length < 1 || length > MOST_DIGITS) return false
  for (let i = at; i < at + length; i++) if (bytes[i]! < 0x30 || bytes[i]! > 0x39) return false
  return true
}

/** A decimal number; 0 where it is none. */
function numberAt(bytes: Uint8Array, at: number, length: number): number {
  if (!areDigits(bytes, at, length)) return 0
  let value = 0
  for (let i = at; i < at + length; i++) value = value * 10 + bytes[i]! - 0x30
  return value
}

interface KnownText<Meaning> {
  readonly bytes: Buffer
  readonly meaning: Meaning
}

/** What texts stand for; a text becomes a string only when it is seen first. */
class KnownTexts<Meaning> {
  readonly #meaningOf: (text: string) => Meaning
  readonly #known: Map<number, KnownText<Meaning>> = new Map()

  constructor(meaningOf: (text: string) => Meaning) {
    this.#meaningOf = meaningOf
  }

  meaning(bytes: Buffer, at: number, length: number): Meaning {
    const hash = hashOf(bytes, at, length)
    const known = this.#known.get(hash)
    if (known !== undefined && known.bytes.length === length && isSame(known.bytes, bytes, at)) return known.meaning
    const text = Buffer.from(bytes.subarray(at, at + Math.max(0, length)))
    const meaning = this.#meaningOf(text.toString('latin1'))
    if (this.#known.size >= KNOWN_TEXTS) this.#known.clear()
    this.#known.set(hash, { bytes: text, meaning })
    return meaning
  }
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, at: number, length: number): number {
  let hash = 0x811c_9dc5
  for (let i = at; i < at + length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x0100_0193)
  return hash >>> 0
}
