/** A frame as a test wants it in a file. */
export interface Frame {
  seconds: number
  nanoseconds: number
  bytes: Uint8Array
  wireLength: number
}

/** Ethernet, type 0x88b5 (IEEE 802 local experimental), then `sequence` and its low byte again and again. */
export function frame(sequence: number, seconds: number, length = 60, wireLength = length): Frame {
  const bytes = new Uint8Array(length).fill(sequence)
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5].slice(0, length))
  if (length >= 18) new DataView(bytes.buffer).setUint32(14, sequence)
  return { seconds, nanoseconds: (sequence * 7919) % 1_000_000_000, bytes, wireLength }
}
