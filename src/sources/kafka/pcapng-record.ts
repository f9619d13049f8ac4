import { LINKTYPE_ETHERNET } from '../../wire/link-type.ts'
import { encapsulationNamed } from '../../wire/registry.ts'

/** draft-ietf-opsawg-pcapng sections 3.1, 4.1 to 4.3, as the Kafka sink writes them: little endian, nanoseconds. */
const SECTION_HEADER = 0x0a0d0d0a
const BYTE_ORDER_MAGIC = 0x1a2b3c4d
const INTERFACE_DESCRIPTION = 1
const ENHANCED_PACKET = 6
const BLOCK_LENGTH = 4
const BODY = 8
const SMALLEST_BLOCK = 12
const INTERFACE_OPTIONS = 16
const IF_NAME = 2
const PACKET_BYTES = 28
const NANOSECONDS = 1_000_000_000

/** Where the frames go. */
export interface PcapngColumns {
  /** False when there is no room for it now. */
  add(
    /** Where the frame is in the record's bytes. */
    from: number,
    captured: number,
    wireLength: number,
    seconds: number,
    nanoseconds: number,
    encapsulation: number,
    tunnelId: number,
    linkType: number,
  ): boolean
}

interface Tunnel {
  readonly encapsulation: number
  readonly tunnelId: number
  readonly linkType: number
}

const UNKNOWN: Tunnel = { encapsulation: 0, tunnelId: 0, linkType: LINKTYPE_ETHERNET }

export function isPcapng(bytes: Buffer, at: number, length: number): boolean {
  return (
    length >= SMALLEST_BLOCK &&
    bytes.readUInt32LE(at) === SECTION_HEADER &&
    bytes.readUInt32LE(at + BODY) === BYTE_ORDER_MAGIC
  )
}

/** A record's value that is a capture file of many frames: bytes[at, end). */
export class PcapngRecord {
  readonly #value: Buffer
  readonly #tunnels: Tunnel[] = []
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, at: number, end: number) {
    this.#value = bytes
    this.#at = at
    this.#end = end
  }

  /** Hands the frames on; false when there was no room for one: called again, it goes on there. */
  unpack(columns: PcapngColumns): boolean {
    const value = this.#value
    const end = this.#end
    while (this.#at < end) {
      const length = this.#at + SMALLEST_BLOCK <= end ? value.readUInt32LE(this.#at + BLOCK_LENGTH) : 0
      if (length < SMALLEST_BLOCK || length % 4 !== 0 || this.#at + length > end) {
        // What follows cannot be found: one empty frame stands for it in the account.
        if (!nothing(columns, this.#at)) return false
        this.#at = end
        return true
      }
      const type = value.readUInt32LE(this.#at)
      if (type === INTERFACE_DESCRIPTION) this.#tunnels.push(readTunnel(value, this.#at, this.#at + length))
      else if (type === ENHANCED_PACKET && !this.#packet(columns, length)) return false
      this.#at += length
    }
    return true
  }

  #packet(columns: PcapngColumns, length: number): boolean {
    const value = this.#value
    const at = this.#at
    if (length < PACKET_BYTES + 4) return nothing(columns, at)
    const captured = value.readUInt32LE(at + 20)
    if (PACKET_BYTES + captured + 4 > length) return nothing(columns, at)
    const tunnel = this.#tunnels[value.readUInt32LE(at + 8)] ?? UNKNOWN
    // Long division in base 65536: every step stays below 2^53, where doubles are exact.
    const upper = value.readUInt32LE(at + 12) * 65_536 + value.readUInt16LE(at + 18)
    const quotient = Math.floor(upper / NANOSECONDS)
    const rest = (upper - quotient * NANOSECONDS) * 65_536 + value.readUInt16LE(at + 16)
    const seconds = quotient * 65_536 + Math.floor(rest / NANOSECONDS)
    const { encapsulation, tunnelId, linkType } = tunnel
    const wireLength = value.readUInt32LE(at + 24)
    return columns.add(
      at + PACKET_BYTES,
      captured,
      wireLength,
      seconds,
      rest % NANOSECONDS,
      encapsulation,
      tunnelId,
      linkType,
    )
  }
}

/** An interface's tunnel, by its name: `vxlan-100`. */
function readTunnel(value: Buffer, start: number, end: number): Tunnel {
  const linkType = end - start >= INTERFACE_OPTIONS ? value.readUInt16LE(start + BODY) : LINKTYPE_ETHERNET
  for (let at = start + INTERFACE_OPTIONS; at + 4 <= end - 4; ) {
    const code = value.readUInt16LE(at)
    const length = value.readUInt16LE(at + 2)
    if (code === 0 || at + 4 + length > end) break
    if (code === IF_NAME) {
      const [, name = '', tunnelId = '0'] =
        /^(.*)-(\d{1,10})$/.exec(value.toString('latin1', at + 4, at + 4 + length)) ?? []
      return { encapsulation: Math.max(0, encapsulationNamed(name)), tunnelId: Number(tunnelId), linkType }
    }
    at += 4 + ((length + 3) & ~3)
  }
  return { ...UNKNOWN, linkType }
}

/** An empty frame, which stands in the account for what is none. */
function nothing(columns: PcapngColumns, at: number): boolean {
  return columns.add(at, 0, 0, 0, 0, 0, 0, LINKTYPE_ETHERNET)
}
