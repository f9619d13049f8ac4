import { Reassembler } from '../frames/reassembler.ts'
import { sourceType } from '../sources/registry.ts'
import type { SourcePlan } from '../sources/source.ts'
import { INCOMPLETE_DATAGRAMS } from './plan.ts'

/** Bytes of the slab in front of the sinks' parts. */
export function slabBytesInFront(plan: SourcePlan): number {
  const source = sourceType(plan.engine)
  const reassembler = source.outerHeaders ? Reassembler.bytesFor(reassemblerSlots(source.batchRows)) : 0
  return source.slabBytes(plan) + reassembler
}

/** Fragments' slots: those of a batch, and of the datagrams that are not complete. */
export function reassemblerSlots(batchRows: number): number {
  return batchRows + INCOMPLETE_DATAGRAMS
}
