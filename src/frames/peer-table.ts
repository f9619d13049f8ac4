import { addressText, type CidrList, isMapped } from './cidr-list.ts'
import { ColumnRoom } from './column-room.ts'

/** Peers beyond what the table holds. */
export const PEER_OTHER = 0
/** Peers that `--allow-from` does not name; they take up no room in the table. */
export const PEER_DENIED = 1

/** The first number that is one host's. */
export const FIRST_PEER = 2
const WORDS = 4
/** Where there would be the address of PEER_OTHER: the first number that nobody has. */
const COUNT = 0
/** Twice the peers, so that probing stays short. */
const SLOTS_PER_PEER = 2
/**
 * IPv4 addresses of late, by 13 bits of a hash, two places each: 1000 senders in turn cost 0.36 us a frame, as one does, and 0.47 without. In
 * a single place each, every fifth of 1000 would share one with another; assembly/plain.ts knows these, too.
 */
const RECENT_BITS = 13
const RECENT_PLACES = 2 << RECENT_BITS

/**
 * The hosts that send tunnels, each with a small number for the `peer` column.
 *
 * Bounded: an attacker who forges source addresses fills the table, no more; peers that come after share PEER_OTHER and
 * are still admitted or refused by their own address.
 */
export class PeerTable {
  readonly #capacity: number
  #allowed: CidrList | undefined
  /** By peer: 1 = it has a number, and is not let in any more. */
  readonly #denied: Uint8Array
  readonly #slots: Uint16Array
  /** Addresses by peer, in memory that other threads may read: a peer's is there before its number is handed out. */
  readonly #keys: Uint32Array
  #count = FIRST_PEER
  readonly #key: Uint32Array = new Uint32Array(WORDS)
  readonly #last: Uint32Array = new Uint32Array(WORDS)
  #lastPeer = -1
  /** The addresses, and in the same places their numbers. 0 = none: what shares PEER_OTHER is looked for each time. */
  readonly recentKeys: Uint32Array
  readonly recentPeers: Uint16Array

  static bytesFor(capacity: number): number {
    return (capacity + FIRST_PEER) * WORDS * Uint32Array.BYTES_PER_ELEMENT
  }

  /** Bytes of what it keeps of late in its room. */
  static readonly roomBytes: number = ColumnRoom.bytesFor(RECENT_PLACES, 4) + ColumnRoom.bytesFor(RECENT_PLACES, 2)

  /** The table of another thread, for text() only. */
  static reader(memory: SharedArrayBuffer): PeerTable {
    return new PeerTable(0, undefined, memory)
  }

  /** `capacity`: at most 65 533 peers. Without `allowed` every peer is. Peers that the memory has already keep their numbers. */
  constructor(
    capacity: number,
    allowed: CidrList | undefined,
    memory: SharedArrayBuffer = new SharedArrayBuffer(PeerTable.bytesFor(capacity)),
    room: ColumnRoom = new ColumnRoom(),
  ) {
    this.recentKeys = room.uint32(RECENT_PLACES)
    this.recentPeers = room.uint16(RECENT_PLACES)
    this.#capacity = capacity
    this.#allowed = allowed
    this.#denied = new Uint8Array(capacity + FIRST_PEER)
    this.#slots = new Uint16Array(capacity * SLOTS_PER_PEER)
    this.#keys = new Uint32Array(memory)
    this.#restore()
    this.allow(allowed)
  }

  /** The number of the peer whose address, of 4 or 16 bytes, is at `at`. */
  indexOf(bytes: Uint8Array, at: number, length: number): number {
    if (length !== 4) return this.#indexOfAny(bytes, at, length)
    const key = word(bytes, at)
    const keys = this.recentKeys
    const peers = this.recentPeers
    const place = (Math.imul(key, 0x9e3779b1) >>> (32 - RECENT_BITS)) << 1
    if (keys[place] === key && peers[place] !== PEER_OTHER) return peers[place]!
    if (keys[place + 1] === key && peers[place + 1] !== PEER_OTHER) return peers[place + 1]!
    const peer = this.#indexOfAny(bytes, at, 4)
    // Whoever has no number of their own pushes nobody out.
    if (peer === PEER_OTHER) return peer
    keys[place + 1] = keys[place]!
    peers[place + 1] = peers[place]!
    keys[place] = key
    peers[place] = peer
    return peer
  }

  #indexOfAny(bytes: Uint8Array, at: number, length: number): number {
    this.#readKey(bytes, at, length)
    if (this.#lastPeer >= 0 && this.#equals(this.#last, 0)) return this.#lastPeer
    this.#lastPeer = this.#find(bytes, at, length)
    this.#last.set(this.#key)
    return this.#lastPeer
  }

  /** Lets others in from now on; those who have a number keep it. Without `allowed` every peer is. */
  allow(allowed: CidrList | undefined): void {
    this.#allowed = allowed
    this.#lastPeer = -1
    this.recentPeers.fill(PEER_OTHER)
    const bytes = new Uint8Array(16)
    const view = new DataView(bytes.buffer)
    for (let peer = FIRST_PEER; peer < this.#count; peer++) {
      this.writeAddress(peer, view, 0)
      const isIn = allowed === undefined || allowed.contains(bytes, 0, this.addressBytes(peer))
      this.#denied[peer] = isIn ? 0 : 1
    }
  }

  /** How many peers have a number of their own. */
  get size(): number {
    return this.#count - FIRST_PEER
  }

  /** The address of a peer in text; `other` and `denied` for the two that stand for many. */
  text(peer: number): string {
    if (peer === PEER_OTHER) return 'other'
    if (peer === PEER_DENIED) return 'denied'
    const bytes = new Uint8Array(16)
    const view = new DataView(bytes.buffer)
    for (let i = 0; i < WORDS; i++) view.setUint32(i * 4, this.#keys[peer * WORDS + i]!)
    return addressText(isMapped(bytes, 0) ? bytes.subarray(12) : bytes)
  }

  /** Bytes of a peer's address: 4, 16, or 0 for the two that stand for many. */
  addressBytes(peer: number): number {
    if (peer < FIRST_PEER) return 0
    const at = peer * WORDS
    return this.#keys[at] === 0 && this.#keys[at + 1] === 0 && this.#keys[at + 2] === 0xffff ? 4 : 16
  }

  /** Writes the address of a peer that has one. */
  writeAddress(peer: number, view: DataView, at: number): void {
    const words = this.addressBytes(peer) / 4
    for (let i = 0; i < words; i++) view.setUint32(at + 4 * i, this.#keys[peer * WORDS + WORDS - words + i]!)
  }

  /** IPv4 as its IPv4-mapped IPv6 address, so that one key serves both. */
  #readKey(bytes: Uint8Array, at: number, length: number): void {
    const key = this.#key
    if (length === 4) {
      key[0] = 0
      key[1] = 0
      key[2] = 0xffff
      key[3] = word(bytes, at)
      return
    }
    key[0] = word(bytes, at)
    key[1] = word(bytes, at + 4)
    key[2] = word(bytes, at + 8)
    key[3] = word(bytes, at + 12)
  }

  #find(bytes: Uint8Array, at: number, length: number): number {
    const slots = this.#slots
    let slot = this.#hash() % slots.length
    while (slots[slot] !== 0) {
      const peer = slots[slot]!
      if (this.#equals(this.#keys, peer * WORDS)) return this.#denied[peer] === 1 ? PEER_DENIED : peer
      slot = slot + 1 === slots.length ? 0 : slot + 1
    }
    if (this.#allowed !== undefined && !this.#allowed.contains(bytes, at, length)) return PEER_DENIED
    if (this.size === this.#capacity) return PEER_OTHER
    const peer = this.#count++
    this.#keys.set(this.#key, peer * WORDS)
    this.#keys[COUNT] = this.#count
    slots[slot] = peer
    return peer
  }

  /** Takes over what another table has put into the memory. */
  #restore(): void {
    const slots = this.#slots
    const end = this.#capacity === 0 ? FIRST_PEER : this.#keys[COUNT]!
    for (; this.#count < end; this.#count++) {
      const at = this.#count * WORDS
      this.#key.set(this.#keys.subarray(at, at + WORDS))
      let slot = this.#hash() % slots.length
      while (slots[slot] !== 0) slot = slot + 1 === slots.length ? 0 : slot + 1
      slots[slot] = this.#count
    }
  }

  #equals(words: Uint32Array, at: number): boolean {
    const key = this.#key
    return words[at + 3] === key[3] && words[at + 2] === key[2] && words[at + 1] === key[1] && words[at] === key[0]
  }

  #hash(): number {
    const key = this.#key
    let hash = Math.imul(key[0]! ^ Math.imul(key[1]!, 0x85ebca6b), 0xc2b2ae35) ^ key[2]!
    hash = Math.imul(hash ^ (hash >>> 15) ^ key[3]!, 0x9e3779b1)
    return (hash ^ (hash >>> 13)) >>> 0
  }
}

function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}
