import { constants, gzipSync } from 'node:zlib'

/** Of all together. */
export function byteLength(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0)
}

/** RFC 1952 section 2.2: a gzip file is members one after another, so each can be complete by itself. */
export function gzipMember(parts: readonly Uint8Array[]): Uint8Array {
  return gzipSync(Buffer.concat(parts), { level: constants.Z_BEST_SPEED })
}
