import type { ByteFeed } from './byte-feed.ts'
import { Inflation } from './inflation.ts'

// RFC 1952 section 2.3.1.
const ID1 = 0x1f
const ID2 = 0x8b

/** Deflate expands at most 1032 times: what one input chunk can make us hold stays below 17 MiB. */
const INPUT_CHUNK = 16_384
/** Of input that cannot be read again. */
const KEPT_BYTES = 8 << 20

/** True when these bytes start a gzip member. */
export function isGzip(bytes: Uint8Array, length: number): boolean {
  return length >= 2 && bytes[0] === ID1 && bytes[1] === ID2
}

/**
 * Decompresses gzip, also of several members. All that a cut or damaged file still holds comes out before `problem` is
 * set, unless its input can neither be read again nor has been kept: then all but the chunk that the damage is in.
 */
export class GzipFeed implements ByteFeed {
  readonly #raw: ByteFeed
  readonly #inflation: Inflation = new Inflation((bytes) => this.#take(bytes))
  readonly #input = new Uint8Array(INPUT_CHUNK)
  readonly #output: Buffer[] = []
  #outputBytes = 0
  #first: Uint8Array
  /** Compressed bytes so far. */
  #inputBytes = 0
  /** All of them, where they cannot be read again and are not too many. */
  #kept: Uint8Array[] | undefined
  #isClosed = false

  /** first: bytes already taken from `raw`. */
  constructor(raw: ByteFeed, first: Uint8Array) {
    this.#raw = raw
    this.#first = first
    this.#kept = raw.again === undefined ? [] : undefined
  }

  get problem(): string | undefined {
    return this.#raw.problem ?? this.#inflation.problem
  }

  async read(into: Uint8Array): Promise<number> {
    while (this.#output.length === 0 && !this.#inflation.isEnded) await this.#decompress()
    let length = 0
    for (let bytes = this.#output[0]; bytes !== undefined && length < into.length; bytes = this.#output[0]) {
      const part = bytes.subarray(0, into.length - length)
      into.set(part, length)
      length += part.length
      if (part.length < bytes.length) this.#output[0] = bytes.subarray(part.length)
      else this.#output.shift()
    }
    return length
  }

  close(): void {
    this.#isClosed = true
    this.#raw.close()
    this.#inflation.close()
  }

  #take(bytes: Buffer): void {
    this.#output.push(bytes)
    this.#outputBytes += bytes.length
  }

  async #decompress(): Promise<void> {
    const chunk = await this.#nextInput()
    await this.#inflation.put(chunk)
    if (this.#inflation.problem !== undefined && chunk.length > 0) await this.#salvage(chunk)
    this.#inputBytes += chunk.length
    if (this.#inputBytes > KEPT_BYTES) this.#kept = undefined
    this.#kept?.push(new Uint8Array(chunk))
  }

  async #nextInput(): Promise<Uint8Array> {
    if (this.#first.length > 0) {
      const chunk = this.#first.subarray(0, INPUT_CHUNK)
      this.#first = this.#first.subarray(chunk.length)
      return chunk
    }
    return this.#input.subarray(0, await this.#raw.read(this.#input))
  }

  /** Brings out what the chunk gives in front of its problem: inflates all once more, the chunk byte by byte. */
  async #salvage(chunk: Uint8Array): Promise<void> {
    let known = this.#outputBytes
    const inflation = new Inflation((bytes) => {
      const fresh = bytes.subarray(Math.min(known, bytes.length))
      known -= bytes.length - fresh.length
      if (fresh.length > 0) this.#take(fresh)
    })
    if (await this.#putEarlier(inflation)) {
      for (let i = 0; i < chunk.length && !inflation.isEnded && !this.#isClosed; i++)
        await inflation.put(chunk.subarray(i, i + 1))
    }
    inflation.close()
  }

  /** Gives it all in front of the present chunk; false where that is not to be had any more. */
  async #putEarlier(inflation: Inflation): Promise<boolean> {
    for (const bytes of this.#kept ?? []) await inflation.put(bytes)
    if (this.#kept !== undefined) return true
    const feed = this.#raw.again?.()
    if (feed === undefined) return false
    const buffer = new Uint8Array(INPUT_CHUNK)
    for (let left = this.#inputBytes; left > 0 && !this.#isClosed; ) {
      const length = await feed.read(buffer.subarray(0, left))
      if (length === 0) return false
      await inflation.put(buffer.subarray(0, length))
      left -= length
    }
    return true
  }
}
