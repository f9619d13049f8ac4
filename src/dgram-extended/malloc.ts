import { loadKoffi, systemCallsUnavailable } from './libc.ts'

/** <malloc.h> */
const M_TRIM_THRESHOLD = -1
const M_TOP_PAD = -2
const M_MMAP_THRESHOLD = -3
const M_ARENA_MAX = -8

/** glibc's own limits to begin with, which it otherwise raises with what is freed, up to 32 MiB. */
const LARGE_BYTES = 131_072
const SPARE_BYTES = 65_536
const ARENAS = 2

/**
 * Has glibc's malloc give freed memory back to the kernel (mallopt(3)). By default each large block that is freed raises what
 * it keeps, in an arena for each thread: where sinks and workers come and go for an hour, 110 MiB that nobody used (of 330 resident).
 * Other C libraries have no such call, and need none.
 */
export function giveFreedMemoryBack(): void {
  if (systemCallsUnavailable() !== undefined) return
  try {
    const mallopt = loadKoffi().load(null).func('int mallopt(int, int)')
    mallopt(M_ARENA_MAX, ARENAS)
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES)
    mallopt(M_TOP_PAD, SPARE_BYTES)
  } catch {
    // musl's allocator
  }
}
