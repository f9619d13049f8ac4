/** An IP packet without Ethernet gets its header in front, in place. */
export const HEADROOM_BYTES = 16

/**
 * The source's memory as a window on fetched bytes: a stretch of them is copied as it is, once, and its frames are where
 * they were in it. Frames of a batch stay until the next one begins.
 */
export class RecordWindow {
  readonly #slab: Uint8Array
  readonly #start: number
  readonly #end: number
  #source: Buffer | undefined
  /** source[from, to) is in the slab at `#at`. */
  #from = 0
  #to = 0
  #at: number
  /** Behind the last stretch. */
  #free: number
  #hasFrames = false

  /** slab[start, start + length) is the source's. */
  constructor(slab: Uint8Array, start: number, length: number) {
    this.#slab = slab
    this.#start = start
    this.#end = start + length
    this.#at = start
    this.#free = start
  }

  /** The frames of the batch before are not needed any more. */
  begin(): void {
    this.#hasFrames = false
  }

  /** The bytes that the next frames are in. */
  set source(bytes: Buffer) {
    this.#source = bytes
    this.#from = 0
    this.#to = 0
  }

  /** Whether a frame of so many bytes has room at all. */
  canHold(bytes: number): boolean {
    return bytes + HEADROOM_BYTES <= this.#end - this.#start
  }

  /** Where source[from, from + length) is in the slab, with room in front; -1: only once the batch's frames are gone. */
  place(from: number, length: number): number {
    if (from < this.#from || from + length > this.#to) {
      if (!this.#move(from, length)) return -1
    }
    this.#hasFrames = true
    return this.#at + from - this.#from
  }

  #move(from: number, length: number): boolean {
    const source = this.#source!
    const room = this.#hasFrames ? this.#free : this.#start
    const at = room + HEADROOM_BYTES
    const wanted = source.length - from
    if (at + Math.max(length, this.#hasFrames ? wanted : 0) > this.#end) return false
    const to = Math.min(source.length, from + this.#end - at)
    this.#slab.set(source.subarray(from, to), at)
    this.#from = from
    this.#to = to
    this.#at = at
    this.#free = at + to - from
    return true
  }
}
