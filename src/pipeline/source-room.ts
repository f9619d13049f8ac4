import { wasmMemoryOf } from '../dgram-extended/shared-memory.ts'
import { ColumnRoom } from '../frames/column-room.ts'
import { FrameBatch } from '../frames/frame-batch.ts'
import { HeldPieces } from '../frames/held-pieces.ts'
import { Loops } from '../frames/loops.ts'
import { NumberSet } from '../frames/number-set.ts'
import { PeerTable } from '../frames/peer-table.ts'
import { Reassembler } from '../frames/reassembler.ts'
import { sourceType } from '../sources/registry.ts'
import type { SourcePlan } from '../sources/source.ts'
import { FanOut } from './fan-out.ts'
import { FastPath } from './fast-path.ts'
import { INCOMPLETE_DATAGRAMS, type PipelinePlan } from './plan.ts'
import { pageAligned } from './slab.ts'

/** Bytes of the slab in front of the sinks' parts. What nobody writes to takes no memory: the held pieces' without --quarantine. */
export function slabBytesInFront(plan: SourcePlan): number {
  const source = sourceType(plan.engine)
  const slots = reassemblerSlots(source.batchRows)
  const pieces = source.outerHeaders ? pageAligned(Reassembler.bytesFor(slots) + HeldPieces.bytes) : 0
  return pageAligned(source.slabBytes(plan)) + pieces + columnRoomBytes(source.batchRows)
}

/** The loops over a worker's batches, whose room lies behind its source's part of the slab; undefined where WebAssembly cannot have the slab. */
export function openLoops(
  { slab, source, byteOffset }: Pick<PipelinePlan, 'slab' | 'source' | 'byteOffset'>,
  memory: ArrayBufferLike,
): Loops | undefined {
  const wasm = wasmMemoryOf(slab)
  if (wasm === undefined) return undefined
  const bytes = columnRoomBytes(sourceType(source.engine).batchRows)
  return new Loops(wasm, new ColumnRoom(memory, byteOffset + slabBytesInFront(source) - bytes, bytes))
}

/** Of the columns, and of the tables that loops look into. */
function columnRoomBytes(rows: number): number {
  const columns = FrameBatch.roomBytes(rows) + FanOut.roomBytes(rows) + rowNumbersBytes(rows)
  const tables = FastPath.roomBytes + PeerTable.roomBytes + ColumnRoom.bytesFor(NumberSet.bitmapBytes, 1)
  return pageAligned(columns + tables + Loops.roomBytes)
}

/** For a source that notes rows. */
function rowNumbersBytes(rows: number): number {
  return ColumnRoom.bytesFor(rows, Uint16Array.BYTES_PER_ELEMENT)
}

/** Fragments' slots: those of a batch, and of the datagrams that are not complete. */
export function reassemblerSlots(batchRows: number): number {
  return batchRows + INCOMPLETE_DATAGRAMS
}
