import { allocateWasmMemory } from '../../src/dgram-extended/memory-copy.ts'
import { ColumnRoom } from '../../src/frames/column-room.ts'
import { Loops } from '../../src/frames/loops.ts'

/** For the columns of a small batch, and every table that loops look into. */
const ROOM_BYTES = 4 << 20
const PAGE_BYTES = 4096

/** Memory whose first `bytes` bytes are free to use, and the loops over it. */
export function loopMemory(bytes: number): { readonly memory: SharedArrayBuffer; readonly loops: Loops } {
  const roomAt = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
  const wasm = allocateWasmMemory(roomAt + ROOM_BYTES)
  if (wasm === undefined) throw new Error('no WebAssembly memory here: is the address space limited?')
  const loops = new Loops(wasm, new ColumnRoom(wasm.buffer, roomAt, ROOM_BYTES))
  return { memory: wasm.buffer, loops }
}
