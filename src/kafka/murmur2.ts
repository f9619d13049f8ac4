const SEED = 0x9747b28c
const MULTIPLIER = 0x5bd1e995

/** The partition that Kafka's own clients choose for a key: murmur2, its sign bit cleared, modulo the partitions. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions
}

function murmur2(data: Uint8Array): number {
  const { length } = data
  let hash = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24)
    word = Math.imul(word, MULTIPLIER)
    word ^= word >>> 24
    word = Math.imul(word, MULTIPLIER)
    hash = Math.imul(hash, MULTIPLIER) ^ word
  }
  let rest = 0
  for (let i = length - 1; i >= at; i--) rest = (rest << 8) | data[i]!
  if (at < length) hash = Math.imul(hash ^ rest, MULTIPLIER)
  hash ^= hash >>> 13
  hash = Math.imul(hash, MULTIPLIER)
  return hash ^ (hash >>> 15)
}
