import { z } from 'zod'
import { problem } from '../../config/terms/problem.ts'

/**
 * What becomes of TCP frames of segmentation offload: divided by the device's MTU, left whole, or divided by so many bytes.
 * To leave it to a TAP (IFF_VNET_HDR) does not help: tcpdump and other AF_PACKET readers get the frame whole, unfinished.
 */
export type Segment = 'mtu' | 'no' | number

/** IPv4's smallest MTU that hosts must take (RFC 791 section 3.1), and the longest frame that an IP length tells; with Ethernet. */
const SHORTEST = 590
const LONGEST = 65_549

const MEND = `Write segment=mtu, segment=no or the longest frame in bytes, ${SHORTEST} to ${LONGEST}: segment=1514.`

export const segment: z.ZodType<Segment, string> = z.string().transform((text, context): Segment => {
  if (text === 'mtu' || text === 'no') return text
  const bytes = Number(text)
  if (/^\d+$/.test(text) && bytes >= SHORTEST && bytes <= LONGEST) return bytes
  context.addIssue(problem(`"${text}" is no length of segments`, MEND))
  return z.NEVER
})

/** For --help. */
export const SEGMENT_KEY =
  'segment=mtu | no | BYTES: longer TCP frames (segmentation offload, up to 64 KiB) are divided as the wire had them'
