import { libc, systemCallsUnavailable } from './libc.ts'
import { allocateWasmMemory, type MemoryCopy, type WasmMemory, wasmCopy } from './memory-copy.ts'

/** Names a region of memory to another thread of this process; structured-clonable. */
export type SharedMemoryHandle = SharedArrayBuffer | MappedMemory

interface MappedMemory {
  readonly address: bigint
  readonly byteLength: number
  /** The same memory; absent where it could not be had in this way. */
  readonly wasm: WasmMemory | undefined
}

const PROT_READ_WRITE = 0x3
/** MAP_NORESERVE among them: address space that may never be used must not count as memory. */
const MAP_PRIVATE_ANONYMOUS = 0x4022
const MAP_FIXED = 0x10

/** Memory ends with the last reference to it, and threads have addresses only. */
const allocated: WasmMemory[] = []

/**
 * Memory that all threads of this process can open. Pages cost nothing until they are touched. It lives as long as the
 * process, as no thread can know that the others are done with it.
 *
 * Plain memory to JavaScript, where system calls can be made, and not a SharedArrayBuffer: V8 copies within shared memory byte by
 * byte unless source and target are aligned alike (measured: 750 bytes in 167 ns, where plain memory takes 28 ns).
 */
export function allocateSharedMemory(bytes: number): SharedMemoryHandle {
  if (systemCallsUnavailable() !== undefined) return new SharedArrayBuffer(bytes)
  const wasm = allocateWasmMemory(bytes)
  if (wasm === undefined) {
    return { address: libc().mmap(bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS), byteLength: bytes, wasm }
  }
  allocated.push(wasm)
  return { address: libc().address(new Uint8Array(wasm.buffer)), byteLength: bytes, wasm }
}

/**
 * The memory itself, in this thread. Plain reads and writes: threads agree through Atomics on a SharedArrayBuffer of
 * their own about who may touch what.
 */
export function openSharedMemory(handle: SharedMemoryHandle): ArrayBufferLike {
  return handle instanceof SharedArrayBuffer ? handle : libc().view(handle.address, handle.byteLength)
}

/**
 * The same for a thread that makes no system calls of this folder and copies nothing within the memory: it does without
 * koffi, which takes each thread 10 ms to load.
 */
export function openSharedMemoryToRead(handle: SharedMemoryHandle): ArrayBufferLike {
  return wasmMemoryOf(handle)?.buffer ?? openSharedMemory(handle)
}

/** The memory as WebAssembly has it; undefined where it could not be had in that way. */
export function wasmMemoryOf(handle: SharedMemoryHandle): WasmMemory | undefined {
  return handle instanceof SharedArrayBuffer ? undefined : handle.wasm
}

/** A faster way to copy within the memory than TypedArray's copyWithin; undefined where there is none. */
export function copierOf(handle: SharedMemoryHandle): MemoryCopy | undefined {
  const wasm = wasmMemoryOf(handle)
  return wasm && wasmCopy(wasm)
}

/** Gives the memory of whole pages back: they read as zeroes, and cost nothing again. A SharedArrayBuffer keeps its pages, as they are. */
export function clearSharedMemory(handle: SharedMemoryHandle, byteOffset: number, byteLength: number): void {
  if (handle instanceof SharedArrayBuffer || byteLength === 0) return
  const at = handle.address + BigInt(byteOffset)
  libc().mapOver(at, byteLength, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS | MAP_FIXED, -1)
}
