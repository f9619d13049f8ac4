import type { FilterInstruction } from '../dgram-extended/libpcap.ts'
import { addressWords } from './address.ts'
import { BpfAssembler } from './classic-bpf.ts'
import type { Encapsulation, TunnelIdentity } from './mirror.ts'

/**
 * What keeps a mirror from copying a tunnel's own packets: a block of classic BPF in front of a mirror's filter that gives
 * "no match" for them and goes on to what follows it for all others. It leaves out
 * - what goes to or comes from the collector in the tunnel's protocol: by port, and later fragments, which have none, by
 *   address and protocol alone;
 * - the same wrapped by IPsec's transport mode;
 * - UDP that carries the tunnel's own header, whatever its address: NAT may have changed that (Kubernetes services);
 * - ICMP errors about the tunnel's packets: copied, each would bring the next.
 * A load outside the packet would end a program with "no match", so every length is looked at first.
 */

const IP_PROTOCOL: Readonly<Record<Encapsulation, number>> = { vxlan: 17, geneve: 17, gre: 47, erspan: 47 }
const UDP = 17
const ICMP = 1
const ICMP_V6 = 58
const FRAGMENT_HEADER = 44
const ESP = 50
const AH = 51
/** Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792). */
const ICMP_ERRORS = [3, 4, 5, 11, 12]
/** RFC 4443: errors are below 128; 1 to 4 are in use. */
const ICMP_V6_ERRORS = [1, 2, 3, 4]
const ETHER_TYPE_IPV4 = 0x0800
const ETHER_TYPE_IPV6 = 0x86dd
const VLAN_TYPES = [0x8100, 0x88a8]
const ETHERNET = 14
const TAG = 4
/** Tags that are in the bytes; the kernel keeps the outermost beside them, mostly. */
const MOST_TAGS = 2
const FRAGMENT_OFFSET = 0x1fff
const FRAGMENT_OFFSET_V6 = 0xfff8

/** A harmless load in front of a block: it tells blocks from what follows them, and how long each is. */
const MARK = 0x4d530000
const MARK_BITS = 0xffff0000

/** A block's jumps reach 255 instructions; each identifier is one more. */
const MOST_IDS = 64

interface Place {
  readonly a: BpfAssembler
  /** One of those that share encapsulation, collector and port. */
  readonly tunnel: TunnelIdentity
  readonly ids: readonly number[]
  readonly protocol: number
  readonly words: readonly number[]
  /** Offset of the IP header. */
  readonly l3: number
  readonly exclude: string
  readonly out: string
  readonly name: (suffix: string) => string
}

/** Tunnels that differ in their identifier alone share a block: what tc can send to the kernel is bounded. */
export function exclusionBlocks(tunnels: readonly TunnelIdentity[]): FilterInstruction[] {
  const shared = new Map<string, TunnelIdentity[]>()
  for (const tunnel of tunnels) {
    const way = `${tunnel.encapsulation} ${tunnel.collector} ${tunnel.port}`
    shared.set(way, [...(shared.get(way) ?? []), tunnel])
  }
  return [...shared.values()].flatMap((alike) => {
    const ids = alike.map(({ vni }) => vni)
    const parts = Array.from({ length: Math.ceil(ids.length / MOST_IDS) }, (_, i) => i * MOST_IDS)
    return parts.flatMap((from) => exclusionBlock(alike[0]!, ids.slice(from, from + MOST_IDS)))
  })
}

function exclusionBlock(tunnel: TunnelIdentity, ids: readonly number[]): FilterInstruction[] {
  const a = new BpfAssembler()
  const words = addressWords(tunnel.collector)
  for (let tags = 0; tags <= MOST_TAGS; tags++) {
    const name = (suffix: string): string => `${suffix}-${tags}`
    const l3 = ETHERNET + TAG * tags
    const protocol = IP_PROTOCOL[tunnel.encapsulation]
    const place: Place = { a, tunnel, ids, protocol, words, l3, exclude: name('exclude'), out: name('out'), name }
    expectTags(place, tags)
    a.load(2, l3 - 2)
    if (words.length === 1) {
      a.ifEqual(ETHER_TYPE_IPV4, undefined, place.out)
      ipv4(place)
    } else {
      a.ifEqual(ETHER_TYPE_IPV6, undefined, place.out)
      ipv6(place)
    }
    a.place(place.exclude)
    a.return(0)
    a.place(place.out)
  }
  const block = a.assemble()
  return [{ code: 0, jt: 0, jf: 0, k: (MARK | block.length) >>> 0 }, ...block]
}

/** Takes the blocks off the front of a mirror's program. */
export function withoutBlocks(program: readonly FilterInstruction[]): readonly FilterInstruction[] {
  let at = 0
  for (;;) {
    const first = program[at]
    if (first === undefined || first.code !== 0 || (first.k & MARK_BITS) >>> 0 !== MARK) return program.slice(at)
    at += 1 + (first.k & ~MARK_BITS)
  }
}

function expectTags({ a, l3, out, name }: Place, tags: number): void {
  a.length()
  a.ifAtLeast(l3, undefined, out)
  for (let tag = 0; tag < tags; tag++) {
    const found = name(`tag${tag}`)
    a.load(2, ETHERNET - 2 + TAG * tag)
    a.ifEqual(VLAN_TYPES[0]!, found)
    a.ifEqual(VLAN_TYPES[1]!, undefined, out)
    a.place(found)
  }
}

function ipv4(place: Place): void {
  const { a, l3, protocol, words, exclude, out, name } = place
  a.length()
  a.ifAtLeast(l3 + 20, undefined, out)
  a.load(1, l3 + 9)
  for (const each of [protocol, ESP, AH]) a.ifEqual(each, name('addresses'))
  a.ifEqual(ICMP, name('icmp'), out)

  a.place(name('addresses'))
  a.load(4, l3 + 16)
  a.ifEqual(words[0]!, name('ours'))
  a.load(4, l3 + 12)
  a.ifEqual(words[0]!, undefined, name('content'))
  a.place(name('ours'))
  a.load(1, l3 + 9)
  a.ifEqual(UDP, undefined, exclude)
  a.load(2, l3 + 6)
  a.ifAnyBit(FRAGMENT_OFFSET, exclude)
  a.headerLength(l3)
  atLeastBehindX(place, l3 + 4)
  a.loadBehind(2, l3 + 2)
  a.ifEqual(place.tunnel.port, exclude)

  a.place(name('content'))
  a.load(1, l3 + 9)
  a.ifEqual(UDP, undefined, out)
  a.load(2, l3 + 6)
  a.ifAnyBit(FRAGMENT_OFFSET, out)
  a.headerLength(l3)
  atLeastBehindX(place, l3 + 16)
  tunnelHeader(place, (offset) => a.loadBehind(4, l3 + 8 + offset))

  a.place(name('icmp'))
  icmp(place)
}

/** The packet in an error starts behind 8 bytes. Ours have no IP options: the kernel made them. */
function icmp(place: Place): void {
  const { a, l3, protocol, words, exclude, out, name } = place
  const quoted = l3 + 8
  a.load(2, l3 + 6)
  a.ifAnyBit(FRAGMENT_OFFSET, out)
  a.headerLength(l3)
  atLeastBehindX(place, quoted + 24)
  a.loadBehind(1, l3)
  for (const type of ICMP_ERRORS) a.ifEqual(type, name('error'))
  a.jump(out)
  a.place(name('error'))
  a.loadBehind(1, quoted + 9)
  a.ifEqual(protocol, undefined, out)
  a.loadBehind(4, quoted + 16)
  a.ifEqual(words[0]!, undefined, out)
  if (protocol !== UDP) return
  a.loadBehind(2, quoted + 22)
  a.ifEqual(place.tunnel.port, exclude, out)
}

function ipv6(place: Place): void {
  const { a, l3, protocol, exclude, out, name } = place
  a.length()
  a.ifAtLeast(l3 + 40, undefined, out)
  a.load(1, l3 + 6)
  for (const each of [protocol, FRAGMENT_HEADER, ESP, AH]) a.ifEqual(each, name('addresses'))
  a.ifEqual(ICMP_V6, name('icmp'), out)

  a.place(name('addresses'))
  address(place, l3 + 24, name('ours'), name('source'))
  a.place(name('source'))
  address(place, l3 + 8, name('ours'), name('content'))
  a.place(name('ours'))
  a.load(1, l3 + 6)
  a.ifEqual(FRAGMENT_HEADER, name('fragment'))
  a.ifEqual(UDP, undefined, exclude)
  port(place, l3 + 40)
  a.jump(name('content'))

  a.place(name('fragment'))
  a.length()
  a.ifAtLeast(l3 + 48, undefined, out)
  a.load(1, l3 + 40)
  a.ifEqual(protocol, protocol === UDP ? undefined : exclude, out)
  if (protocol === UDP) {
    a.load(2, l3 + 42)
    a.ifAnyBit(FRAGMENT_OFFSET_V6, exclude)
    port(place, l3 + 48)
    a.jump(out)
  }

  a.place(name('content'))
  a.load(1, l3 + 6)
  a.ifEqual(UDP, undefined, out)
  a.length()
  a.ifAtLeast(l3 + 56, undefined, out)
  tunnelHeader(place, (offset) => a.load(4, l3 + 48 + offset))

  a.place(name('icmp'))
  icmpV6(place)
}

function icmpV6(place: Place): void {
  const { a, l3, protocol, exclude, out, name } = place
  const quoted = l3 + 48
  a.length()
  a.ifAtLeast(quoted + 44, undefined, out)
  a.load(1, l3 + 40)
  for (const type of ICMP_V6_ERRORS) a.ifEqual(type, name('error'))
  a.jump(out)
  a.place(name('error'))
  a.load(1, quoted + 6)
  a.ifEqual(protocol, undefined, out)
  address(place, quoted + 24, name('quoted'), out)
  a.place(name('quoted'))
  if (protocol !== UDP) return
  a.load(2, quoted + 42)
  a.ifEqual(place.tunnel.port, exclude, out)
}

/** Is the collector's address at `offset`? */
function address({ a, words }: Place, offset: number, yes: string, no: string): void {
  words.forEach((word, i) => {
    a.load(4, offset + 4 * i)
    a.ifEqual(word, i === words.length - 1 ? yes : undefined, no)
  })
}

/** Excludes a UDP header at `offset` that goes to the tunnel's port. */
function port({ a, tunnel, exclude, out }: Place, offset: number): void {
  a.length()
  a.ifAtLeast(offset + 4, undefined, out)
  a.load(2, offset + 2)
  a.ifEqual(tunnel.port, exclude)
}

/** Goes on only where the packet has `bytes` besides the header length in X. */
function atLeastBehindX({ a, out }: Place, bytes: number): void {
  a.length()
  a.subtractX()
  a.ifAtLeast(bytes, undefined, out)
}

/** Excludes what has the tunnel's first 8 bytes, as the kernel writes them, behind UDP. */
function tunnelHeader({ a, tunnel, ids, exclude, out }: Place, load: (offset: number) => void): void {
  // RFC 7348: the I flag and nothing else. RFC 8926: no options, Ethernet inside.
  const start = { vxlan: 0x08000000, geneve: 0x00006558, gre: undefined, erspan: undefined }[tunnel.encapsulation]
  if (start === undefined) {
    a.jump(out)
    return
  }
  load(0)
  a.ifEqual(start, undefined, out)
  load(4)
  ids.forEach((id, i) => {
    a.ifEqual((id << 8) >>> 0, exclude, i === ids.length - 1 ? out : undefined)
  })
}
