import {
  EbpfAssembler,
  FP,
  type Label,
  R0,
  R1,
  R2,
  R3,
  R4,
  R5,
  R6,
  R7,
  R8,
  R9,
  type Register,
} from './ebpf-assembler.ts'
import {
  ADDRESSES_SUM,
  ADDRESSES_XOR,
  BYTES,
  HAS_FLOW,
  IP_BASE_END,
  L2_END,
  L3_END,
  L4_END,
  PORTS,
  walkHeaders,
} from './frame-layout.ts'

/** Ethernet, three VLAN tags and IPv6 fit into it: less of a frame cannot always be sent. */
export const SMALLEST_SNAPLEN = 68
export const LARGEST_SNAPLEN = 65_535
export const LARGEST_SAMPLE = 999_999

/** The layer behind whose header copies end. */
export type HeaderLayer = 'l2' | 'l3' | 'l4'

/** What is done to each copy in the kernel, before it is sent. Of two lengths the shorter counts. */
export interface CopyWish {
  /** The most bytes of a copy, from SMALLEST_SNAPLEN to LARGEST_SNAPLEN. */
  readonly snaplen?: number | undefined
  readonly headers?: HeaderLayer | undefined
  /** One flow in so many is sent, both directions together; of frames that are of no flow, one in so many. From 1 to LARGEST_SAMPLE. */
  readonly sample?: number | undefined
}

export interface CopyProgram {
  /** What the wish is, in up to 15 characters: `tc filter show` prints it. */
  readonly name: string
  /** eBPF for the egress of the tunnel's device (clsact, direct action). */
  readonly instructions: Uint8Array
}

const HEADER_ENDS: Readonly<Record<HeaderLayer, number>> = { l2: L2_END, l3: L3_END, l4: L4_END }

/** <linux/pkt_cls.h>; UNSPEC goes on as if no program were there. STOLEN ends a copy without counting it as lost, SHOT counts it. */
const TC_ACT_UNSPEC = -1
const TC_ACT_SHOT = 2
const TC_ACT_STOLEN = 4

/** enum bpf_func_id */
const GET_PRANDOM_U32 = 7
const SKB_STORE_BYTES = 9
const SKB_CHANGE_TAIL = 38

/** struct __sk_buff */
const SKB_LEN = 0
const SKB_VLAN_PRESENT = 20

const VLAN_TAG_BYTES = 4

/**
 * The kernel does not always cut where it is told. In front of a checksum field that is still to be filled in (CHECKSUM_PARTIAL: most of what
 * this host sends itself) and of a transport header it refuses, and vxlan and geneve devices drop IP without a whole base header.
 * So the end of the fourth layer's header is tried next, then this, behind the checksum of a tunnel's inner packet.
 */
const LAST_RESORT = 192
/** As many zeroes on the stack, below the walk's findings. */
const ZEROES = BYTES - LAST_RESORT

const FRAME = R6

/** The program that does what is wished, or undefined where nothing is. */
export function copyProgram(wish: CopyWish): CopyProgram | undefined {
  const name = copyProgramName(wish)
  if (name === '') return undefined
  const code = new EbpfAssembler()
  const [pass, steal] = [code.label('pass'), code.label('steal')]
  code.copy(FRAME, R1)
  walkHeaders(code)
  if (samples(wish)) stealUnlessChosen(code, wish.sample!, steal)
  if (wish.headers !== undefined || wish.snaplen !== undefined) cut(code, wish, pass)
  code.place(pass)
  code.set(R0, TC_ACT_UNSPEC)
  code.exit()
  code.place(steal)
  if (samples(wish)) {
    code.set(R0, TC_ACT_STOLEN)
    code.exit()
  }
  return { name, instructions: code.assemble() }
}

/** "c96l4s100": cut at 96 bytes, behind the fourth layer's header, one flow in 100; empty where nothing is wished. */
export function copyProgramName(wish: CopyWish): string {
  const cutAt = wish.snaplen === undefined ? '' : `c${wish.snaplen}`
  return `${cutAt}${wish.headers ?? ''}${samples(wish) ? `s${wish.sample}` : ''}`
}

/** The most bytes that such a copy commonly has; only headers that are longer than this are sent with more. */
export function longestCopy({ snaplen, headers }: CopyWish): number {
  if (snaplen === undefined && headers === undefined) return Number.POSITIVE_INFINITY
  return Math.max(headers === undefined ? snaplen! : 0, LAST_RESORT)
}

function samples(wish: CopyWish): boolean {
  return wish.sample !== undefined && wish.sample > 1
}

/** The hash has no secret: hosts with the same rate choose the same flows. */
function stealUnlessChosen(code: EbpfAssembler, sample: number, steal: Label): void {
  const [flow, chosen] = [code.label('flow'), code.label('chosen')]
  code.load(32, R1, FP, HAS_FLOW)
  code.jumpIf('ne', R1, 0, flow)
  code.call(GET_PRANDOM_U32)
  code.alu('mov', R0, R0)
  code.jump(chosen)
  code.place(flow)
  hashFlow(code)
  code.place(chosen)
  // A number above 2^31 - 1 would be taken as negative, and extended to 64 bits.
  code.jumpIf('gt', R0, Math.floor(2 ** 32 / sample) - 1, steal)
}

/** MurmurHash3 (x86, 32 bits) over what both directions have in common, seeded with the protocol in R7; into R0. */
function hashFlow(code: EbpfAssembler): void {
  code.alu('mov', R0, R7)
  for (const slot of [ADDRESSES_XOR, ADDRESSES_SUM, PORTS]) {
    code.load(32, R1, FP, slot)
    code.alu('mul', R1, 0xcc9e2d51 | 0)
    rotateLeft(code, 15)
    code.alu('mul', R1, 0x1b873593)
    code.alu('xor', R1, R0)
    rotateLeft(code, 13)
    code.alu('mul', R1, 5)
    code.alu('add', R1, 0xe6546b64 | 0)
    code.alu('mov', R0, R1)
  }
  foldDown(code, 16)
  code.alu('mul', R0, 0x85ebca6b | 0)
  foldDown(code, 13)
  code.alu('mul', R0, 0xc2b2ae35 | 0)
  foldDown(code, 16)
}

/** R0 ^= R0 >>> bits */
function foldDown(code: EbpfAssembler, bits: number): void {
  code.alu('mov', R1, R0)
  code.alu('rsh', R1, bits)
  code.alu('xor', R0, R1)
}

/** R1, by way of R2. */
function rotateLeft(code: EbpfAssembler, bits: number): void {
  code.alu('mov', R2, R1)
  code.alu('lsh', R1, bits)
  code.alu('rsh', R2, 32 - bits)
  code.alu('or', R1, R2)
}

/** R9 has the length that is wanted, R7 the one that is tried, R8 the end of the fourth layer's header. */
function cut(code: EbpfAssembler, wish: CopyWish, pass: Label): void {
  const done = wish.headers === undefined ? pass : code.label('blank')
  const drop = code.label('drop')
  code.load(32, R8, FP, L4_END)
  if (wish.headers === undefined) code.set(R9, LARGEST_SNAPLEN)
  else code.load(32, R9, FP, HEADER_ENDS[wish.headers])
  if (wish.snaplen !== undefined) limitToSnaplen(code, wish.snaplen)
  code.load(32, R7, FRAME, SKB_LEN)
  code.jumpIf('le', R7, R9, pass)
  cutAtOrAfter(code, R9, done)
  code.copy(R7, R8)
  cutAtR7(code, done)
  code.set(R7, LAST_RESORT)
  cutAtR7(code, done)
  code.jump(drop)
  if (done !== pass) {
    code.place(done)
    blankBehindR9(code, pass, drop)
  }
  code.place(drop)
  code.set(R0, TC_ACT_SHOT)
  code.exit()
}

/** Nothing behind the header that was asked for leaves the host: what the kernel keeps beyond it becomes zeroes. */
function blankBehindR9(code: EbpfAssembler, pass: Label, drop: Label): void {
  code.alu('mov', R5, R7)
  code.alu('sub', R5, R9)
  code.jumpIf('eq', R5, 0, pass)
  code.jumpIf('gt', R5, LAST_RESORT, drop)
  code.set(R1, 0)
  for (let at = ZEROES; at < BYTES; at += 8) code.store(64, FP, at, R1)
  code.copy(R4, R5)
  code.copy(R1, FRAME)
  code.copy(R2, R9)
  code.pointer(R3, FP, ZEROES)
  code.set(R5, 0)
  code.call(SKB_STORE_BYTES)
  code.jumpIf('eq', R0, 0, pass)
}

/** A tag beside the frame (struct sk_buff's vlan_tci) is put into it later: it counts, as it does for a capture. */
function limitToSnaplen(code: EbpfAssembler, snaplen: number): void {
  const [untagged, limited] = [code.label('untagged'), code.label('limited')]
  code.set(R2, snaplen)
  code.load(32, R1, FRAME, SKB_VLAN_PRESENT)
  code.jumpIf('eq', R1, 0, untagged)
  code.set(R2, snaplen - VLAN_TAG_BYTES)
  code.place(untagged)
  code.jumpIf('le', R9, R2, limited)
  code.copy(R9, R2)
  code.place(limited)
}

/** At `length`, or behind the base header of IP where that is further. */
function cutAtOrAfter(code: EbpfAssembler, length: Register, done: Label): void {
  const enough = code.label('enough')
  code.load(32, R7, FP, IP_BASE_END)
  code.jumpIf('ge', R7, length, enough)
  code.copy(R7, length)
  code.place(enough)
  cutAtR7(code, done)
}

/** On to `done` where the frame could be cut at R7, or is no longer; R7 then has its length. */
function cutAtR7(code: EbpfAssembler, done: Label): void {
  const longer = code.label('longer')
  code.load(32, R1, FRAME, SKB_LEN)
  code.jumpIf('gt', R1, R7, longer)
  code.copy(R7, R1)
  code.jump(done)
  code.place(longer)
  code.copy(R1, FRAME)
  code.copy(R2, R7)
  code.set(R3, 0)
  code.call(SKB_CHANGE_TAIL)
  code.jumpIf('eq', R0, 0, done)
}
