import { AD_PROTOCOL } from '../../dgram-extended/packet-layout.ts'
import { type Label, SocketFilter } from '../../dgram-extended/socket-filter.ts'
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from '../../wire/ether-type.ts'
import { ENCAPSULATIONS } from '../../wire/registry.ts'
import { IPPROTO_UDP } from '../../wire/udp.ts'
import type { Listener } from '../source.ts'
import {
  DESTINATION_PORT,
  IPV4_ANY_FRAGMENT,
  IPV4_FRAGMENT,
  IPV4_PROTOCOL,
  IPV6_HEADER_BYTES,
  IPV6_NEXT_HEADER,
} from './ip-fields.ts'

const ETHERTYPE_8021Q = 0x8100
const ETHERTYPE_8021AD = 0x88a8
const VLAN_TAG_BYTES = 4

/** RFC 791 section 3.1. */
const IPV4_ADDRESSES = 12
const IPV4_ADDRESS_WORDS = 2
/** RFC 8200 section 3. */
const IPV6_ADDRESSES = 8
const IPV6_ADDRESS_WORDS = 8

/**
 * Which ring of a group gets a packet: a hash of its outer addresses and, where it is UDP, ports, whose source port tells the
 * inner flow. The pieces of a datagram, tunnels without ports, and those that number their frames go by the addresses alone:
 * pieces must meet, and a mirror's numbers make sense in one place only. The kernel's own hash would look into GRE.
 */
export function distribution(listeners: readonly Listener[]): SocketFilter {
  const program = new SocketFilter()
  const tagged = Symbol('tagged')
  program.beginHash().load(4, AD_PROTOCOL).ifEqual(ETHERTYPE_8021Q, tagged).ifEqual(ETHERTYPE_8021AD, tagged)
  // The network card or the kernel has taken the outer tag off: a tag here is the second one.
  packet(program, listeners, 0)
  program.label(tagged).load(2, VLAN_TAG_BYTES - 2)
  packet(program, listeners, VLAN_TAG_BYTES)
  return program
}

/** A is the EtherType of the packet at `at`. Never falls through. */
function packet(program: SocketFilter, listeners: readonly Listener[], at: number): void {
  const ipv4 = Symbol('ipv4')
  const ipv6 = Symbol('ipv6')
  const done = Symbol('done')
  program.ifEqual(ETHERTYPE_IPV4, ipv4).ifEqual(ETHERTYPE_IPV6, ipv6).jump(done)
  program.label(ipv4)
  words(program, at + IPV4_ADDRESSES, IPV4_ADDRESS_WORDS)
  program.load(1, at + IPV4_PROTOCOL).ifNotEqual(IPPROTO_UDP, done)
  program.load(2, at + IPV4_FRAGMENT).ifAnyBit(IPV4_ANY_FRAGMENT, done)
  program.measureIpv4Header(at).loadBehindHeader(2, at + DESTINATION_PORT)
  passNumbered(program, listeners, done)
  // The hash's steps change X.
  program.measureIpv4Header(at).loadBehindHeader(4, at).hash().jump(done)
  program.label(ipv6)
  words(program, at + IPV6_ADDRESSES, IPV6_ADDRESS_WORDS)
  program.load(1, at + IPV6_NEXT_HEADER).ifNotEqual(IPPROTO_UDP, done)
  program.load(2, at + IPV6_HEADER_BYTES + DESTINATION_PORT)
  passNumbered(program, listeners, done)
  program.load(4, at + IPV6_HEADER_BYTES).hash()
  program.label(done).returnHash()
}

function words(program: SocketFilter, at: number, count: number): void {
  for (let i = 0; i < count; i++) program.load(4, at + 4 * i).hash()
}

function passNumbered(program: SocketFilter, listeners: readonly Listener[], done: Label): void {
  for (const { encapsulation, port } of listeners) {
    const { isNumbered, ipProtocol } = ENCAPSULATIONS[encapsulation]!
    if (isNumbered === true && ipProtocol === undefined) program.ifEqual(port, done)
  }
}
