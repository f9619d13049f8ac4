/** Bytes of a word. */
const WORD = 4

/**
 * Ones' complement sums (RFC 1071) over one region of memory. They do not depend on the byte order in which the region
 * is read but for a swap at the end (section 2, B), so it is read four bytes at a time.
 */
export class InternetChecksum {
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#words = new Uint32Array(bytes.buffer, 0, bytes.buffer.byteLength >>> 2)
  }

  /** The folded sum, 0 to 0xffff, of bytes [start, start + length) as big-endian 16-bit words, the last one filled up with a zero. */
  sum(start: number, length: number): number {
    const end = start + length
    // Unsigned, as a slab may be larger than 2 GiB.
    const first = Math.min(end, ((start + WORD - 1) & ~(WORD - 1)) >>> 0)
    const last = Math.max(first, (end & ~(WORD - 1)) >>> 0)
    let sum = this.#edge(start, first, start) + this.#edge(last, end, start)
    if (last > first) {
      const middle = this.#middle(first >>> 2, last >>> 2)
      // The words lie on even addresses: a sum that starts on an odd one has their bytes the other way round.
      sum += ((start & 1) === 0) === LITTLE_ENDIAN ? swapped(middle) : middle
    }
    return folded(sum)
  }

  /** Up to three bytes in front of the first word or behind the last. */
  #edge(from: number, to: number, start: number): number {
    let sum = 0
    for (let at = from; at < to; at++) sum += ((at - start) & 1) === 0 ? this.#bytes[at]! << 8 : this.#bytes[at]!
    return sum
  }

  /** Doubles hold the sum of two million words exactly, and adding them is three times as fast as adding halves (measured). */
  #middle(first: number, last: number): number {
    const words = this.#words
    let total = 0
    let i = first
    for (; i + 4 <= last; i += 4) total += words[i]! + words[i + 1]! + words[i + 2]! + words[i + 3]!
    for (; i < last; i++) total += words[i]!
    const carries = Math.floor(total / 0x1_0000_0000)
    return folded(folded(total >>> 0) + carries)
  }
}

/** Adds the carries in: 0 to 0xffff, of a sum that has up to 32 bits. */
export function folded(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16)
  return (once & 0xffff) + (once >>> 16)
}

function swapped(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8)
}

const LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
