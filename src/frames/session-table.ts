/** Words of a session: peer, encapsulation, tunnel identifier. */
const WORDS = 3
const SLOTS_PER_SESSION = 2
/** Word 0 of the memory: how many sessions there are. */
const HEADER_WORDS = 1

/** Sessions beyond what the table holds. */
export const NO_SESSION = -1

/**
 * The sessions of mirrors that number or time their frames: one for each tunnel of each encapsulation from each peer, with
 * a number from 0 on. Bounded; their keys are in memory that any thread may read while one writes.
 */
export class SessionTable {
  readonly #capacity: number
  readonly #words: Uint32Array
  readonly #slots: Int16Array
  #last: number = NO_SESSION

  static bytesFor(capacity: number): number {
    return (HEADER_WORDS + capacity * WORDS) * Uint32Array.BYTES_PER_ELEMENT
  }

  /** `capacity`: at most 32 767. Sessions that the memory has already keep their numbers. */
  constructor(memory: SharedArrayBuffer, capacity: number) {
    this.#capacity = capacity
    this.#words = new Uint32Array(memory, 0, HEADER_WORDS + capacity * WORDS)
    this.#slots = new Int16Array(capacity * SLOTS_PER_SESSION).fill(NO_SESSION)
    for (let session = 0; session < this.count; session++) {
      this.#slots[this.#slotOf(this.peer(session), this.encapsulation(session), this.tunnelId(session))] = session
    }
  }

  get count(): number {
    return this.#words[0]!
  }

  peer(session: number): number {
    return this.#words[HEADER_WORDS + session * WORDS]!
  }

  encapsulation(session: number): number {
    return this.#words[HEADER_WORDS + session * WORDS + 1]!
  }

  tunnelId(session: number): number {
    return this.#words[HEADER_WORDS + session * WORDS + 2]!
  }

  /** The session's number; NO_SESSION where the table is full. */
  indexOf(peer: number, encapsulation: number, tunnelId: number): number {
    if (this.#last !== NO_SESSION && this.#is(this.#last, peer, encapsulation, tunnelId)) return this.#last
    this.#last = this.#find(peer, encapsulation, tunnelId)
    return this.#last
  }

  #find(peer: number, encapsulation: number, tunnelId: number): number {
    const slots = this.#slots
    const slot = this.#slotOf(peer, encapsulation, tunnelId)
    if (slots[slot] !== NO_SESSION) return slots[slot]!
    const session = this.#words[0]!
    if (session === this.#capacity) return NO_SESSION
    const at = HEADER_WORDS + session * WORDS
    this.#words[at] = peer
    this.#words[at + 1] = encapsulation
    this.#words[at + 2] = tunnelId
    slots[slot] = session
    this.#words[0] = session + 1
    return session
  }

  /** Where the session is, or would be. */
  #slotOf(peer: number, encapsulation: number, tunnelId: number): number {
    const slots = this.#slots
    const hash = Math.imul(tunnelId ^ Math.imul((peer << 8) | encapsulation, 0x85ebca6b), 0x9e3779b1) >>> 0
    let slot = hash % slots.length
    while (slots[slot] !== NO_SESSION && !this.#is(slots[slot]!, peer, encapsulation, tunnelId)) {
      slot = slot + 1 === slots.length ? 0 : slot + 1
    }
    return slot
  }

  #is(session: number, peer: number, encapsulation: number, tunnelId: number): boolean {
    const at = HEADER_WORDS + session * WORDS
    const words = this.#words
    return words[at + 2] === tunnelId && words[at] === peer && words[at + 1] === encapsulation
  }
}
