import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { giveFreedMemoryBack } from '../../src/dgram-extended/malloc.ts'

/** Frees blocks of 1 MiB from the first on, under one that stays, and prints by how many KiB resident memory is larger than before. */
const BLOCKS = 64
const BLOCK_BYTES = 1 << 20

if (process.argv[2] === 'give') giveFreedMemoryBack()
const c = (createRequire(import.meta.url)('koffi') as typeof import('koffi')).load(null)
const malloc = c.func('void *malloc(size_t)')
const memset = c.func('void *memset(void *, int, size_t)')
const free = c.func('void free(void *)')

// mallopt(3): the first block of a size that is freed makes malloc keep such blocks.
free(malloc(16 * BLOCK_BYTES))
const before = residentKibibytes()
const blocks = Array.from({ length: BLOCKS }, () => memset(malloc(BLOCK_BYTES), 1, BLOCK_BYTES) as unknown)
malloc(BLOCK_BYTES)
const held = residentKibibytes() - before
for (const block of blocks) free(block)
process.stdout.write(`${held} ${residentKibibytes() - before}\n`)

function residentKibibytes(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))![1])
}
