import type { ByteFeed } from './byte-feed.ts'
import { isPcapMagic, openPcap } from './reader-pcap.ts'
import { PcapngParser, SECTION_HEADER_BLOCK } from './reader-pcapng.ts'
import { type CaptureProblem, type PacketColumns, type RecordParser, Window } from './reader-window.ts'

const MAGIC_LENGTH = 4
const SMALLEST_WINDOW = 64
/** As much as a core's second cache holds beside what is made of it: reads of 4 MiB took a twentieth more of processor time. */
const READ_BYTES = 1 << 19

/**
 * Reads the packets of a pcap or pcapng stream, in either byte order, into columns; nothing is allocated per packet.
 * Bytes that make no sense, and input that fails, end the reading and are told by `problem`; every packet before them is delivered.
 */
export class CaptureReader {
  readonly #feed: ByteFeed
  readonly #window: Window
  #parser: RecordParser | undefined
  #isDone = false

  /**
   * The reader's window is [byteOffset, byteOffset + byteLength) of a memory that the caller owns; it touches nothing else
   * of it. A packet that does not fit in the window ends the reading as a problem: 1 MiB holds every packet that libpcap
   * captures, and reads as fast as more. Throws a RangeError for less than 64 bytes.
   */
  constructor(feed: ByteFeed, memory: ArrayBufferLike, byteOffset: number, byteLength: number) {
    if (byteLength < SMALLEST_WINDOW)
      throw new RangeError(`a window of ${byteLength} bytes; at least ${SMALLEST_WINDOW}`)
    this.#feed = feed
    this.#window = new Window(memory, byteOffset, byteLength)
  }

  /** After next() gave 0: undefined at a clean end, else why and where reading stopped. */
  get problem(): CaptureProblem | undefined {
    return this.#isDone ? this.#window.problem : undefined
  }

  /** Bytes taken from the feed so far. */
  get bytesRead(): number {
    return this.#window.streamEnd
  }

  /**
   * Reads the next packets into the columns from row 0, at most maxRows (at least 1); 0 is the end of the file.
   * Packets are borrowed until the next call. The answer is a number while the feed is synchronous, else a promise,
   * and then the next call waits for it.
   */
  next(columns: PacketColumns, maxRows: number): number | Promise<number> {
    for (;;) {
      const rows = this.#parse(columns, maxRows)
      if (rows > 0 || this.#isDone) return rows
      const length = this.#refill()
      if (typeof length !== 'number') return this.#nextWhenFed(length, columns, maxRows)
      this.#accept(length)
    }
  }

  async #nextWhenFed(length: number | Promise<number>, columns: PacketColumns, maxRows: number): Promise<number> {
    for (let pending = length; ; pending = this.#refill()) {
      this.#accept(await pending)
      const rows = this.#parse(columns, maxRows)
      if (rows > 0 || this.#isDone) return rows
    }
  }

  #parse(columns: PacketColumns, maxRows: number): number {
    const window = this.#window
    if (this.#isDone) return 0
    if (window.problem === undefined) this.#parser ??= this.#recognize()
    const rows = window.problem === undefined ? (this.#parser?.parse(window, columns, maxRows) ?? 0) : 0
    if (rows === 0 && window.problem !== undefined) this.#isDone = true
    return rows
  }

  #recognize(): RecordParser | undefined {
    const window = this.#window
    if (window.end - window.start < MAGIC_LENGTH) return undefined
    const magic = window.view.getUint32(window.start, false)
    if (magic === SECTION_HEADER_BLOCK) return new PcapngParser()
    if (isPcapMagic(magic)) return openPcap(window, false)
    if (isPcapMagic(window.view.getUint32(window.start, true))) return openPcap(window, true)
    window.fail(window.start, `unknown magic 0x${magic.toString(16).padStart(8, '0')}`)
    return undefined
  }

  #refill(): number | Promise<number> {
    const window = this.#window
    window.compact()
    return this.#feed.read(window.bytes.subarray(window.end, window.end + READ_BYTES))
  }

  #accept(length: number): void {
    const window = this.#window
    window.accept(length)
    if (length > 0) return
    this.#isDone = true
    if (this.#feed.problem !== undefined) window.fail(window.end, this.#feed.problem)
    else if (window.end > window.start || window.skip > 0) window.fail(window.start, `cut inside ${window.unit}`)
    else if (this.#parser === undefined) window.fail(0, 'empty: not even a file header')
  }
}
