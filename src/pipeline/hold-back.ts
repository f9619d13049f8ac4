import type { FrameSink } from '../sinks/sink.ts'
import type { Source } from '../sources/source.ts'

/** As much as the records of a batch may take: a ring's block, and what their headers add. */
const BATCH_BYTES = 512 << 10
/** Longer than Linux lets a writer wait for a disk at a time, 0.2 s (MAX_PAUSE, mm/page-writeback.c). */
export const HOLD_MS = 250
const LOOK_MS = 1

/**
 * Before a batch goes to the only sink: where that one is full, and the source has room, packets wait in the source for a while
 * rather than get lost. With several sinks none is waited for, as the others would wait, too.
 */
export function holdBack(sink: FrameSink | undefined, source: Source): void {
  if (sink?.hasRoomFor === undefined || source.hasRoom === undefined || sink.hasRoomFor(BATCH_BYTES)) return
  const end = performance.now() + HOLD_MS
  while (source.hasRoom() && performance.now() < end) {
    sink.waitForRoom?.(LOOK_MS)
    if (sink.hasRoomFor(BATCH_BYTES)) return
  }
}
