/**
 * What became of a frame. A number, because the network chooses how often it happens: a thrown exception costs a
 * thousand times as much (measured 2.4 us against 2 ns).
 */
export type Verdict = number

/** The closed list of ends that a frame can come to inside the pipeline; its position is the verdict. */
export const VERDICTS = [
  'ok',
  'short-header',
  'bad-flags',
  'bad-outer',
  'unknown-encapsulation',
  'vni-not-allowed',
  'source-not-allowed',
  'short-frame',
  'fragment-reassembled',
  'fragment-incomplete',
  'unknown-payload',
  'bad-checksum',
  'filtered',
  'sampled',
  'duplicate',
  'worker-died',
] as const

export const OK: Verdict = 0
/** Fewer bytes than the tunnel's header has. */
export const SHORT_HEADER: Verdict = 1
/** A bit that must be set is clear, or, under --strict, one that must be clear is set. */
export const BAD_FLAGS: Verdict = 2
/** The outer link, IP or UDP header is cut off or contradicts itself. */
export const BAD_OUTER: Verdict = 3
/** A sound packet, but none of the tunnels that are listened for. */
export const UNKNOWN_ENCAPSULATION: Verdict = 4
export const VNI_NOT_ALLOWED: Verdict = 5
export const SOURCE_NOT_ALLOWED: Verdict = 6
/** The inner frame is shorter than an Ethernet header. */
export const SHORT_FRAME: Verdict = 7
/** A piece of an outer datagram that other pieces completed: it lives on in the frame of the piece that came last. */
export const FRAGMENT_REASSEMBLED: Verdict = 8
/** A piece of an outer datagram that was never completed, or that contradicted the other pieces. */
export const FRAGMENT_INCOMPLETE: Verdict = 9
/** A sound tunnel header, but what it carries is no mirrored frame: keepalives, OAM, routing protocols, PPP. */
export const UNKNOWN_PAYLOAD: Verdict = 10
/** The tunnel header's checksum does not fit. */
export const BAD_CHECKSUM: Verdict = 11
/** --filter does not take it. */
export const FILTERED: Verdict = 12
/** Its flow is not among those that --sample keeps. */
export const SAMPLED: Verdict = 13
/** A copy of it came shortly before. */
export const DUPLICATE: Verdict = 14
/** It was in the hands of a worker that died; no step says so. */
export const WORKER_DIED: Verdict = 15

/** Ends of packets that nothing is wrong with: somebody chose not to have them, they live on in another, or the fault is ours. */
const UNWANTED: readonly (typeof VERDICTS)[number][] = [
  'vni-not-allowed',
  'source-not-allowed',
  'filtered',
  'sampled',
  'duplicate',
  'fragment-reassembled',
  'worker-died',
]

export function isUnwanted(verdict: Verdict): boolean {
  return UNWANTED.includes(VERDICTS[verdict]!)
}
