import { Bell, createBell } from './bell.ts'

/**
 * A bounded queue of bytes between one thread that fills it and one that empties it, in shared memory.
 *
 * The producer writes records straight into the ring (which lies in the worker's slab, so that frames get there by one
 * copy within it) and groups them into segments: records of one series that lie side by side. The consumer sees whole
 * segments. Neither side ever waits for a lock; a sleeping consumer is woken only when it says that it sleeps.
 */
export interface RecordQueueWiring {
  /** Where in the slab the ring is. */
  readonly byteOffset: number
  readonly byteLength: number
  readonly control: SharedArrayBuffer
  /** What the consumer sleeps on; it may be the same for all queues that one thread empties. */
  readonly bell: SharedArrayBuffer
}

/**
 * Where tunnels alternate, each frame may be a segment of its own: so many of them a burst may have, whatever its bytes.
 * With 4096 a 16 MiB queue overflowed after 1 MiB.
 */
export const SEGMENTS = 65_536
export const SEGMENT_WORDS = 5
export const START = 0
export const END = 1
export const FRAMES = 2
export const LAST_SECOND = 3
export const SERIES = 4

/** Control words. Segment counts run freely and wrap at 2^32; an index into the ring is a count modulo SEGMENTS. */
export const PUBLISHED = 0
export const CONSUMED = 1
/** Ring offset behind the last byte that the consumer gave back. */
export const BYTE_TAIL = 2
export const STATE = 4
export const OPEN = 0
const CLOSED = 1
export const ABANDONED = 2
export const CONTROL_WORDS = 16
const CONTROL_BYTES = 4 * (CONTROL_WORDS + SEGMENTS * SEGMENT_WORDS)

/**
 * Of queues that are over, for those that come. V8 does not count shared memory when it decides whether to collect: where workers die or
 * sinks change, 1.3 MiB a lane would pile up (seen: 60 MiB).
 */
const spares: SharedArrayBuffer[] = []

/** The slab's bytes [byteOffset, byteOffset + byteLength) become the ring. */
export function createRecordQueue(
  byteOffset: number,
  byteLength: number,
  bell: SharedArrayBuffer = createBell(),
): RecordQueueWiring {
  const control = spares.pop() ?? new SharedArrayBuffer(CONTROL_BYTES)
  return { byteOffset, byteLength, control, bell }
}

/** In the thread that created it: neither end uses it any more. */
export function recycleRecordQueue({ control }: RecordQueueWiring): void {
  new Int32Array(control, 0, CONTROL_WORDS).fill(0)
  spares.push(control)
}

/** Ends a queue from any thread: `closed` = no record follows; `abandoned` = nobody takes any more out. */
export function closeRecordQueue(wiring: RecordQueueWiring, state: 'closed' | 'abandoned'): void {
  const control = new Int32Array(wiring.control, 0, CONTROL_WORDS)
  // Whichever end comes first stays.
  Atomics.compareExchange(control, STATE, OPEN, state === 'closed' ? CLOSED : ABANDONED)
  new Bell(wiring.bell).ring()
  Atomics.notify(control, CONSUMED)
}
