import { z } from 'zod'
import { problem } from './problem.ts'

/** Six bytes in hexadecimal, with colons or hyphens -> those bytes. */
export const macAddress: z.ZodType<Uint8Array, string> = z.string().transform((text, context) => {
  if (/^[0-9a-f]{2}([:-])[0-9a-f]{2}(\1[0-9a-f]{2}){4}$/i.test(text)) {
    return Uint8Array.from(text.split(/[:-]/), (byte) => Number.parseInt(byte, 16))
  }
  context.addIssue(problem(`"${text}" is not a MAC address`, 'Write six bytes in hexadecimal, e.g. 02:00:00:00:00:01.'))
  return z.NEVER
})
