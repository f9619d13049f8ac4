import { HeldPieces } from '../frames/held-pieces.ts'
import { Reassembler } from '../frames/reassembler.ts'
import { sourceType } from '../sources/registry.ts'
import type { SourcePlan } from '../sources/source.ts'
import { INCOMPLETE_DATAGRAMS } from './plan.ts'

/** Bytes of the slab in front of the sinks' parts. What nobody writes to takes no memory: the held pieces' without --quarantine. */
export function slabBytesInFront(plan: SourcePlan): number {
  const source = sourceType(plan.engine)
  const slots = reassemblerSlots(source.batchRows)
  const pieces = source.outerHeaders ? Reassembler.bytesFor(slots) + HeldPieces.bytes : 0
  return source.slabBytes(plan) + pieces
}

/** Fragments' slots: those of a batch, and of the datagrams that are not complete. */
export function reassemblerSlots(batchRows: number): number {
  return batchRows + INCOMPLETE_DATAGRAMS
}
