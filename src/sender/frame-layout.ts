import {
  type EbpfAssembler,
  FP,
  type Label,
  R0,
  R1,
  R2,
  R3,
  R4,
  R6,
  R7,
  R8,
  R9,
  type Register,
} from './ebpf-assembler.ts'

/** Where the walk leaves what it found, from the stack's end: bytes of the frame up to the end of a layer's header, 32 bits each. */
export const L2_END = -4
export const L3_END = -8
export const L4_END = -12
/** Where an IPv4 or IPv6 header without options ends; where the frame has neither, L2_END. */
export const IP_BASE_END = -32
/** 1 where the frame is of a flow, and what its two directions have in common: of the addresses, of the ports. */
export const HAS_FLOW = -16
export const ADDRESSES_XOR = -20
export const ADDRESSES_SUM = -24
export const PORTS = -28
/** Bytes of the frame that are looked at. */
export const BYTES = -72

/** R6 holds the frame (struct __sk_buff), R7 what comes next (EtherType, then protocol), R8 where that is, R9 whether it is a fragment. */
const FRAME = R6
const NEXT = R7
const AT = R8
const IS_FRAGMENT = R9

/** enum bpf_func_id */
const SKB_LOAD_BYTES = 26

const ETHERNET_BYTES = 14
const ETHERTYPE_AT = 12
const VLAN_TAG_BYTES = 4
/** 802.1Q, 802.1ad, and what some switches put in front of a second tag. */
const VLAN_ETHERTYPES = [0x8100, 0x88a8, 0x9100]
const MOST_VLAN_TAGS = 3
const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_IPV6 = 0x86dd
const ETHERTYPE_ARP = 0x0806
/** RFC 826 with Ethernet and IPv4 addresses: the whole message is header. */
const ARP_BYTES = 28
const IPV4_BYTES = 20
const IPV6_BYTES = 40
const FRAGMENT_HEADER = 44
const AUTHENTICATION_HEADER = 51
/** Hop-by-hop, routing, destination options, mobility: their second byte counts units of 8 bytes after the first (RFC 8200, RFC 6275). */
const EXTENSION_HEADERS = [0, 43, 60, 135]
/** More in one packet are not walked over: the third layer then ends behind the eighth. */
const MOST_EXTENSION_HEADERS = 8
const TCP = 6
const TCP_BYTES = 20
const TCP_DATA_OFFSET = 12
/** ICMP, ICMPv6: the message's first 8 bytes. */
const ICMP_PROTOCOLS = [1, 58]
const ICMP_BYTES = 8
/** UDP, UDP-Lite, SCTP: bytes of the header, which begins with the ports, as TCP's does. */
const PORT_PROTOCOLS: readonly (readonly [protocol: number, bytes: number])[] = [
  [17, 8],
  [136, 8],
  [132, 12],
]

/**
 * Appends a walk over the frame's headers, which leaves its findings on the stack and the IP protocol in R7. R6 holds the frame.
 * What a frame lacks, contradicts or hides (a later fragment has no ports) ends the walk: each end is that of the last header that is whole.
 */
export function walkHeaders(code: EbpfAssembler): void {
  const done = code.label('done')
  code.set(R1, 0)
  for (const slot of [HAS_FLOW, ADDRESSES_XOR, ADDRESSES_SUM, PORTS]) code.store(32, FP, slot, R1)
  code.set(NEXT, 0)
  code.set(IS_FRAGMENT, 0)
  const [ipv4, ipv6, transport] = [code.label('ipv4'), code.label('ipv6'), code.label('transport')]
  walkEthernet(code, done)
  code.jumpIf('eq', NEXT, ETHERTYPE_IPV4, ipv4)
  code.jumpIf('eq', NEXT, ETHERTYPE_IPV6, ipv6)
  code.jumpIf('ne', NEXT, ETHERTYPE_ARP, done)
  code.alu('add', AT, ARP_BYTES)
  endsHere(code, [L3_END, L4_END])
  code.jump(done)
  code.place(ipv4)
  walkIpv4(code, done)
  code.jump(transport)
  code.place(ipv6)
  walkIpv6(code, transport, done)
  code.place(transport)
  walkTransport(code, done)
  code.place(done)
}

function walkEthernet(code: EbpfAssembler, done: Label): void {
  code.set(AT, ETHERNET_BYTES)
  endsHere(code, [L2_END, IP_BASE_END, L3_END, L4_END])
  code.set(AT, ETHERTYPE_AT)
  loadBytes(code, 2, done)
  loadNumber(code, 16, NEXT, 0)
  code.set(AT, ETHERNET_BYTES)
  const untagged = code.label('untagged')
  for (let tags = 0; tags < MOST_VLAN_TAGS; tags++) {
    const tagged = code.label('tagged')
    for (const etherType of VLAN_ETHERTYPES) code.jumpIf('eq', NEXT, etherType, tagged)
    code.jump(untagged)
    code.place(tagged)
    loadBytes(code, VLAN_TAG_BYTES, done)
    loadNumber(code, 16, NEXT, 2)
    code.alu('add', AT, VLAN_TAG_BYTES)
    endsHere(code, [L2_END, IP_BASE_END, L3_END, L4_END])
  }
  code.place(untagged)
}

function walkIpv4(code: EbpfAssembler, done: Label): void {
  storeBaseEnd(code, IPV4_BYTES)
  loadBytes(code, IPV4_BYTES, done)
  code.load(8, R1, FP, BYTES)
  code.copy(R2, R1)
  code.alu('rsh', R2, 4)
  code.jumpIf('ne', R2, 4, done)
  code.alu('and', R1, 0x0f)
  code.alu('lsh', R1, 2)
  code.jumpIf('lt', R1, IPV4_BYTES, done)
  code.alu('add', AT, R1)
  endsHere(code, [L3_END, L4_END])
  code.load(8, NEXT, FP, BYTES + 9)
  code.load(32, R3, FP, BYTES + 12)
  code.load(32, R4, FP, BYTES + 16)
  storeAddresses(code, R3, R4)
  loadNumber(code, 16, R1, 6)
  code.copy(IS_FRAGMENT, R1)
  code.alu('and', IS_FRAGMENT, 0x3fff)
  code.jumpIf('set', R1, 0x1fff, done)
}

function walkIpv6(code: EbpfAssembler, transport: Label, done: Label): void {
  storeBaseEnd(code, IPV6_BYTES)
  loadBytes(code, IPV6_BYTES, done)
  code.load(8, R1, FP, BYTES)
  code.alu('rsh', R1, 4)
  code.jumpIf('ne', R1, 6, done)
  code.load(8, NEXT, FP, BYTES + 6)
  foldAddress(code, R3, 8)
  foldAddress(code, R4, 24)
  storeAddresses(code, R3, R4)
  code.alu('add', AT, IPV6_BYTES)
  endsHere(code, [L3_END, L4_END])
  for (let headers = 0; headers < MOST_EXTENSION_HEADERS; headers++) walkExtensionHeader(code, transport, done)
}

/** One extension header, or on to `transport`. */
function walkExtensionHeader(code: EbpfAssembler, transport: Label, done: Label): void {
  const [extension, authentication, fragment, advance] = ['extension', 'authentication', 'fragment', 'advance'].map(
    (name) => code.label(name),
  ) as [Label, Label, Label, Label]
  for (const protocol of EXTENSION_HEADERS) code.jumpIf('eq', NEXT, protocol, extension)
  code.jumpIf('eq', NEXT, AUTHENTICATION_HEADER, authentication)
  code.jumpIf('ne', NEXT, FRAGMENT_HEADER, transport)

  loadBytes(code, 8, done)
  loadNumber(code, 16, R2, 2)
  // RFC 8200 section 4.5: 13 bits of offset, two reserved ones, M.
  code.copy(IS_FRAGMENT, R2)
  code.alu('and', IS_FRAGMENT, 0xfff9)
  code.set(R1, 8)
  code.jumpIf('set', R2, 0xfff8, fragment)
  code.jump(advance)

  code.place(fragment)
  code.load(8, NEXT, FP, BYTES)
  code.alu('add', AT, R1)
  endsHere(code, [L3_END, L4_END])
  code.jump(done)

  // RFC 4302 section 2.2: units of 4 bytes, minus 2.
  code.place(authentication)
  loadBytes(code, 2, done)
  code.load(8, R1, FP, BYTES + 1)
  code.alu('add', R1, 2)
  code.alu('lsh', R1, 2)
  code.jump(advance)

  code.place(extension)
  loadBytes(code, 2, done)
  code.load(8, R1, FP, BYTES + 1)
  code.alu('add', R1, 1)
  code.alu('lsh', R1, 3)

  code.place(advance)
  code.load(8, NEXT, FP, BYTES)
  code.alu('add', AT, R1)
  endsHere(code, [L3_END, L4_END])
}

function walkTransport(code: EbpfAssembler, done: Label): void {
  const [tcp, icmp, ended] = [code.label('tcp'), code.label('icmp'), code.label('ended')]
  const others = PORT_PROTOCOLS.map(([protocol, bytes]) => ({ protocol, bytes, label: code.label(`${protocol}`) }))
  code.jumpIf('eq', NEXT, TCP, tcp)
  for (const protocol of ICMP_PROTOCOLS) code.jumpIf('eq', NEXT, protocol, icmp)
  for (const { protocol, label } of others) code.jumpIf('eq', NEXT, protocol, label)
  code.jump(done)

  for (const { bytes, label } of others) {
    code.place(label)
    loadBytes(code, bytes, done)
    code.alu('add', AT, bytes)
    code.jump(ended)
  }

  code.place(tcp)
  loadBytes(code, TCP_BYTES, done)
  code.load(8, R1, FP, BYTES + TCP_DATA_OFFSET)
  code.alu('rsh', R1, 4)
  code.alu('lsh', R1, 2)
  code.jumpIf('lt', R1, TCP_BYTES, done)
  code.alu('add', AT, R1)

  code.place(ended)
  endsHere(code, [L4_END])
  code.jumpIf('ne', IS_FRAGMENT, 0, done)
  storePorts(code)
  code.jump(done)

  code.place(icmp)
  code.alu('add', AT, ICMP_BYTES)
  endsHere(code, [L4_END])
}

/** Loads so many bytes of the frame from where the walk is, or ends it where the frame has fewer. */
function loadBytes(code: EbpfAssembler, count: number, otherwise: Label): void {
  code.copy(R1, FRAME)
  code.copy(R2, AT)
  code.pointer(R3, FP, BYTES)
  code.set(R4, count)
  code.call(SKB_LOAD_BYTES)
  code.jumpIf('ne', R0, 0, otherwise)
}

function loadNumber(code: EbpfAssembler, bits: 16 | 32, destination: Register, offset: number): void {
  code.load(bits, destination, FP, BYTES + offset)
  code.fromNetwork(bits, destination)
}

function endsHere(code: EbpfAssembler, slots: readonly number[]): void {
  for (const slot of slots) code.store(32, FP, slot, AT)
}

function storeBaseEnd(code: EbpfAssembler, headerBytes: number): void {
  code.pointer(R1, AT, headerBytes)
  code.store(32, FP, IP_BASE_END, R1)
}

/** An IPv6 address as 32 bits. */
function foldAddress(code: EbpfAssembler, destination: Register, offset: number): void {
  code.load(32, destination, FP, BYTES + offset)
  for (const word of [4, 8, 12]) {
    code.load(32, R1, FP, BYTES + offset + word)
    code.alu('xor', destination, R1)
  }
}

/** Sum and exclusive or are the same in both directions. */
function storeAddresses(code: EbpfAssembler, source: Register, destination: Register): void {
  code.copy(R1, source)
  code.alu('xor', R1, destination)
  code.store(32, FP, ADDRESSES_XOR, R1)
  code.alu('add', source, destination)
  code.store(32, FP, ADDRESSES_SUM, source)
  code.set(R1, 1)
  code.store(32, FP, HAS_FLOW, R1)
}

function storePorts(code: EbpfAssembler): void {
  loadNumber(code, 16, R1, 0)
  loadNumber(code, 16, R2, 2)
  code.copy(R3, R1)
  code.alu('xor', R3, R2)
  code.alu('lsh', R3, 16)
  code.alu('add', R1, R2)
  code.alu('xor', R3, R1)
  code.store(32, FP, PORTS, R3)
}
