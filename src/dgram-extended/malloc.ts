import { loadKoffi, systemCallsUnavailable } from './libc.ts'

/** <malloc.h> */
const M_MMAP_THRESHOLD = -3
/** The limit that glibc begins with. */
const LARGE_BYTES = 131_072

/**
 * Has glibc's malloc give large blocks that are freed back to the kernel (mallopt(3)). By default each of them raises what it keeps,
 * up to 64 MiB in every arena: where sinks and workers come and go for an hour, 110 MiB that nobody used (of 330 resident).
 * Other C libraries have no such call.
 */
export function giveFreedMemoryBack(): void {
  if (systemCallsUnavailable() !== undefined) return
  try {
    // A limit that is set stays.
    loadKoffi().load(null).func('int mallopt(int, int)')(M_MMAP_THRESHOLD, LARGE_BYTES)
  } catch {
    // musl's allocator
  }
}
