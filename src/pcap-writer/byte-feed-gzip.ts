import { createGunzip, type Gunzip } from 'node:zlib'
import type { ByteFeed } from './byte-feed.ts'

// RFC 1952 section 2.3.1.
const ID1 = 0x1f
const ID2 = 0x8b

/** Deflate expands at most 1032 times: what one input chunk can make us hold stays below 17 MiB. */
const INPUT_CHUNK = 16_384

/** True when these bytes start a gzip member. */
export function isGzip(bytes: Uint8Array, length: number): boolean {
  return length >= 2 && bytes[0] === ID1 && bytes[1] === ID2
}

/**
 * Decompresses gzip, also of several members. All that a cut file still holds comes out before `problem` is set; of a
 * damaged one all but the chunk of input that the damage is in.
 */
export class GzipFeed implements ByteFeed {
  readonly #raw: ByteFeed
  readonly #gunzip: Gunzip = createGunzip()
  readonly #input = new Uint8Array(INPUT_CHUNK)
  readonly #output: Buffer[] = []
  #first: Uint8Array
  #isEnded = false
  #problem: string | undefined
  #wake: (() => void) | undefined

  /** first: bytes already taken from `raw`. */
  constructor(raw: ByteFeed, first: Uint8Array) {
    this.#raw = raw
    this.#first = first
    this.#gunzip.on('data', (bytes: Buffer) => this.#output.push(bytes))
    this.#gunzip.on('end', () => this.#end(undefined))
    this.#gunzip.on('error', (error) => this.#end(`gzip: ${error.message}`))
    this.#gunzip.on('close', () => this.#end(undefined))
  }

  get problem(): string | undefined {
    return this.#raw.problem ?? this.#problem
  }

  async read(into: Uint8Array): Promise<number> {
    while (this.#output.length === 0 && !this.#isEnded) await this.#decompress()
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
    this.#raw.close()
    this.#gunzip.destroy()
  }

  async #decompress(): Promise<void> {
    const chunk = await this.#nextInput()
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#isEnded) resolve()
      else if (chunk.length === 0) this.#gunzip.end()
      else this.#gunzip.write(chunk, () => resolve())
    })
  }

  async #nextInput(): Promise<Uint8Array> {
    if (this.#first.length > 0) {
      const chunk = this.#first.subarray(0, INPUT_CHUNK)
      this.#first = this.#first.subarray(chunk.length)
      return chunk
    }
    return this.#input.subarray(0, await this.#raw.read(this.#input))
  }

  #end(problem: string | undefined): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#problem = problem
    this.#wake?.()
  }
}
