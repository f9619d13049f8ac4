import type { SourceType } from '../source.ts'

const BATCH_ROWS = 256
/** The reader's window. Holds any packet there can be, also one of BIG TCP. */
const WINDOW_BYTES = 4 << 20

/** The module that reads; in a worker of one source alone. */
export const CAPTURE_SOURCE: URL = new URL('./capture-source.js', import.meta.url)

export const fileSource: SourceType = {
  engine: 'file',
  outerHeaders: true,
  canWait: true,
  drain: 'nothing',
  batchRows: BATCH_ROWS,
  slabBytes: () => WINDOW_BYTES,
  // Loaded where it is needed, as of every source: the main thread needs this row alone, and a worker one source.
  open: async ({ file = '-' }, context) => (await import('./capture-source.ts')).openFile(file, context),
}
