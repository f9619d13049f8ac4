/** So that no two arrays share a cache line. */
const ALIGNMENT = 64

/** Hands out arrays side by side: in a part of a memory, where loops in WebAssembly reach them, or wherever there is room. */
export class ColumnRoom {
  readonly #memory: ArrayBufferLike | undefined
  readonly #end: number
  #at: number

  /** Without `memory` each array has its own. The part is [byteOffset, byteOffset + byteLength), the first on a cache line. */
  constructor(memory?: ArrayBufferLike, byteOffset: number = 0, byteLength: number = 0) {
    this.#memory = memory
    this.#at = byteOffset
    this.#end = byteOffset + byteLength
  }

  /** Bytes of an array in the room. */
  static bytesFor(length: number, elementBytes: number): number {
    return Math.ceil((length * elementBytes) / ALIGNMENT) * ALIGNMENT
  }

  /** Filled with zeroes, as are the others. @throws RangeError when the room is full, as are the others */
  uint8(length: number): Uint8Array {
    return new Uint8Array(...this.#place(length, Uint8Array.BYTES_PER_ELEMENT)).fill(0)
  }

  uint16(length: number): Uint16Array {
    return new Uint16Array(...this.#place(length, Uint16Array.BYTES_PER_ELEMENT)).fill(0)
  }

  int16(length: number): Int16Array {
    return new Int16Array(...this.#place(length, Int16Array.BYTES_PER_ELEMENT)).fill(0)
  }

  uint32(length: number): Uint32Array {
    return new Uint32Array(...this.#place(length, Uint32Array.BYTES_PER_ELEMENT)).fill(0)
  }

  #place(length: number, elementBytes: number): [ArrayBufferLike, number, number] {
    if (this.#memory === undefined) return [new ArrayBuffer(length * elementBytes), 0, length]
    const at = this.#at
    const end = at + ColumnRoom.bytesFor(length, elementBytes)
    if (end > this.#end) throw new RangeError(`no room for ${length} elements of ${elementBytes} bytes`)
    this.#at = end
    return [this.#memory, at, length]
  }
}
