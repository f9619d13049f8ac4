import { ColumnRoom } from './column-room.ts'
import type { Loops } from './loops.ts'

/** How the memory is worked on where there are faster ways than JavaScript's. */
export interface FrameBatchOptions {
  /** Copies within the memory. */
  readonly copy?: FrameBatch['copy'] | undefined
  /** Their room is in the memory: the columns come to lie there. */
  readonly loops?: Loops | undefined
}

/**
 * The frames of one receive call: one region of memory and, beside it, one column per field; row i is frame i.
 *
 * Borrowed: the source overwrites `bytes` and every column at its next receive. Whoever needs a frame longer copies it.
 * Taking off a tunnel adds to `offset`; dropping a frame leaves its row out; nothing here moves bytes.
 */
export class FrameBatch {
  /** Rows there is room for. */
  readonly capacity: number
  /** Rows in use. */
  count = 0
  /** The worker's whole slab, shared with its sinks. */
  readonly bytes: Uint8Array
  /** The same memory, for unaligned multi-byte access. */
  readonly view: DataView
  /** Copies within `bytes`: (to, from, length), without allocating. */
  readonly copy: (to: number, from: number, length: number) => void
  /** Absent where WebAssembly cannot have the memory. */
  readonly loops: Loops | undefined
  /** For arrays that the loops are to reach. */
  readonly room: ColumnRoom
  /** Where the frame starts in `bytes`. */
  readonly offset: Uint32Array
  /** Bytes of the frame that are present from `offset` on (pcap: incl_len). */
  readonly captured: Uint32Array
  /** Bytes the frame had on the wire, at least `captured` (pcap: orig_len). */
  readonly wireLength: Uint32Array
  /** Time of arrival, whole seconds since 1970 (unsigned 32 bits, as in a pcap record). */
  readonly seconds: Uint32Array
  /** Time of arrival, nanoseconds within the second. */
  readonly nanoseconds: Uint32Array
  /** VNI, VSID, key or session, as the encapsulation calls it. */
  readonly tunnelId: Uint32Array
  /** Index into the registry of encapsulations. */
  readonly encapsulation: Uint8Array
  /** EtherType of a payload that has no Ethernet header; 0 where the frame has one. */
  readonly etherType: Uint16Array
  /** Index into the worker's table of peers, the hosts that send tunnels. */
  readonly peer: Uint16Array
  /** Link type of the packet at `offset` (pcap's LINKTYPE_ values); LINKTYPE_TUNNEL while it is a bare UDP payload. */
  readonly linkType: Uint16Array

  constructor(memory: ArrayBufferLike, capacity: number, { copy, loops }: FrameBatchOptions = {}) {
    this.capacity = capacity
    const bytes = new Uint8Array(memory)
    this.bytes = bytes
    this.copy = copy ?? ((to, from, length) => void bytes.copyWithin(to, from, from + length))
    this.view = new DataView(memory)
    this.loops = loops
    const room = loops?.room ?? new ColumnRoom()
    this.room = room
    this.offset = room.uint32(capacity)
    this.captured = room.uint32(capacity)
    this.wireLength = room.uint32(capacity)
    this.seconds = room.uint32(capacity)
    this.nanoseconds = room.uint32(capacity)
    this.tunnelId = room.uint32(capacity)
    this.encapsulation = room.uint8(capacity)
    this.etherType = room.uint16(capacity)
    this.peer = room.uint16(capacity)
    this.linkType = room.uint16(capacity)
  }

  /** Bytes of the columns in their room. */
  static roomBytes(capacity: number): number {
    const [words, halves] = [ColumnRoom.bytesFor(capacity, 4), ColumnRoom.bytesFor(capacity, 2)]
    return 6 * words + 3 * halves + ColumnRoom.bytesFor(capacity, 1)
  }

  /** Gives row `to` what row `from` has: how a stage closes the gap behind a row it leaves out. */
  moveRow(from: number, to: number): void {
    this.offset[to] = this.offset[from]!
    this.captured[to] = this.captured[from]!
    this.wireLength[to] = this.wireLength[from]!
    this.seconds[to] = this.seconds[from]!
    this.nanoseconds[to] = this.nanoseconds[from]!
    this.tunnelId[to] = this.tunnelId[from]!
    this.encapsulation[to] = this.encapsulation[from]!
    this.etherType[to] = this.etherType[from]!
    this.peer[to] = this.peer[from]!
    this.linkType[to] = this.linkType[from]!
  }
}
