/** Why reading ended before the file's clean end. */
export interface CaptureProblem {
  /** Where the broken record starts, in bytes of the decompressed stream. */
  readonly offset: number
  readonly reason: string
}

/** Row i is packet i; `offset` is relative to the start of the memory the reader was given. */
export interface PacketColumns {
  /** Where the packet's bytes start. */
  readonly offset: Uint32Array
  /** Bytes of the packet in the file. */
  readonly captured: Uint32Array
  /** Bytes the packet had on the wire; at least `captured`, whatever the file says. */
  readonly wireLength: Uint32Array
  /** Whole seconds since 1970; times before or after what 32 bits hold are clipped. */
  readonly seconds: Uint32Array
  /** Nanoseconds within the second. */
  readonly nanoseconds: Uint32Array
  /** LINKTYPE_ value of the packet's interface. */
  readonly linkType: Uint16Array
}

/** The part of the stream that is in memory. Positions are relative to the window's first byte. */
export class Window {
  readonly bytes: Uint8Array
  readonly view: DataView
  /** First byte not parsed yet. */
  start = 0
  /** End of the bytes that are there. */
  end = 0
  /** Bytes of the stream to pass over that were not in the window yet. */
  skip = 0
  /** Set once by a parser, which returns what it read before. */
  problem: CaptureProblem | undefined
  /** What the bytes from `start` on belong to, for the message when the stream ends within. */
  unit = 'the file header'
  /** Position in the stream of the window's first byte. */
  #origin = 0

  constructor(memory: ArrayBufferLike, byteOffset: number, byteLength: number) {
    this.bytes = new Uint8Array(memory, byteOffset, byteLength)
    this.view = new DataView(memory, byteOffset, byteLength)
  }

  /** Bytes taken from the feed so far. */
  get streamEnd(): number {
    return this.#origin + this.end
  }

  /** Declares the bytes at a position broken: nothing from there on is read. */
  fail(at: number, reason: string): void {
    this.problem = { offset: this.#origin + at, reason }
  }

  /** Moves what is not parsed yet to the window's start, which ends the loan of every packet handed out. */
  compact(): void {
    this.bytes.copyWithin(0, this.start, this.end)
    this.#origin += this.start
    this.end -= this.start
    this.start = 0
  }

  /** Takes in what a feed wrote behind `end`. */
  accept(byteLength: number): void {
    this.end += byteLength
    const passed = Math.min(this.skip, this.end - this.start)
    this.start += passed
    this.skip -= passed
  }
}

/** Parses whole records from `window.start` on into the columns, from row 0; stops where bytes are missing. */
export interface RecordParser {
  parse(window: Window, columns: PacketColumns, maxRows: number): number
}
