import { DatagramArena } from '../../dgram-extended/datagram-arena.ts'
import type { SourceType } from '../source.ts'

export const BATCH_ROWS = 256

export const dgramSource: SourceType = {
  engine: 'dgram',
  outerHeaders: false,
  // Its time stamps tell when Node.js handed a datagram over.
  drain: 'waiting',
  batchRows: BATCH_ROWS,
  slabBytes: () => DatagramArena.bytesFor(BATCH_ROWS),
  open: async (plan, context) => (await import('./node-source.ts')).openDgram(plan, context),
}
