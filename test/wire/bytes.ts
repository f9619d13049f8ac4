/** Bytes from hexadecimal as specifications print it: white space is free. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
}

/** Bytes in front of the content that `amid` makes. */
export const AMID_OFFSET = 24

/** The content with `around` on both sides, so that a read outside of it shows. */
export function amid(content: Uint8Array, around: number): Uint8Array {
  const bytes = new Uint8Array(AMID_OFFSET + content.length + 64).fill(around)
  bytes.set(content, AMID_OFFSET)
  return bytes
}
