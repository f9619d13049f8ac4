import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const CHUNK_BYTES = 1 << 20
const CHUNKS = 32
/** A slow disk is not measured longer. */
const PATIENCE_MS = 1000

/** Writes a little to a folder, down to the disk, and takes it away again: bytes a second. Throws system errors. */
export function writeSpeed(folder: string): number {
  const own = mkdtempSync(join(folder, '.mirror-collector-check-'))
  try {
    const fd = openSync(join(own, 'speed'), 'wx')
    try {
      return measure(fd)
    } finally {
      closeSync(fd)
    }
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
}

function measure(fd: number): number {
  const chunk = Buffer.alloc(CHUNK_BYTES, 0x5a)
  const began = performance.now()
  let written = 0
  for (let i = 0; i < CHUNKS && performance.now() - began < PATIENCE_MS; i++) written += writeSync(fd, chunk)
  fdatasyncSync(fd)
  return (written / (performance.now() - began)) * 1000
}
