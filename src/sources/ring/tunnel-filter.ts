import { AF_INET, AF_INET6 } from '../../dgram-extended/libc.ts'
import {
  AD_IFINDEX,
  AD_PACKET_TYPE,
  AD_PROTOCOL,
  AD_VLAN_TAG_PRESENT,
  PACKET_HOST,
} from '../../dgram-extended/packet-layout.ts'
import {
  addressFamily,
  addressOffset,
  SOCKADDR_BYTES,
  writeSocketAddress,
} from '../../dgram-extended/socket-address.ts'
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
const IPV4_DESTINATION = 16
/** RFC 8200 section 3; extension headers whose successor only a loop could find: hop-by-hop, routing, authentication, destination. */
const IPV6_DESTINATION = 24
const IPV6_FRAGMENT = 44
const IPV6_OTHER_EXTENSIONS = [0, 43, 51, 60]

/** An interface to take packets from. */
export interface RingInterface {
  readonly name: string
  readonly index: number
  /** Whether packets with a VLAN tag are left to a VLAN interface above, which is one of ours, too. */
  readonly untaggedOnly: boolean
}

/**
 * What the ring takes: packets addressed to this host, on these interfaces, for these listeners. IPv6 fragments pass
 * whatever their port, which only the first piece has, and so do packets with IPv6 extension headers: the pipeline,
 * which can follow them, counts those that are no tunnel.
 */
export function tunnelFilter(listeners: readonly Listener[], interfaces: readonly RingInterface[]): SocketFilter {
  const filter = new SocketFilter()
  const taken = Symbol('taken')
  const refused = Symbol('refused')
  filter.load(4, AD_PACKET_TYPE).ifNotEqual(PACKET_HOST, refused)
  onInterfaces(filter, interfaces, refused)
  const tagged = Symbol('tagged')
  filter.load(4, AD_PROTOCOL)
  filter.ifEqual(ETHERTYPE_8021Q, tagged).ifEqual(ETHERTYPE_8021AD, tagged)
  // The network card or the kernel has taken the outer tag off: a tag here is the second one.
  ipPacket(filter, listeners, 0, taken, refused)
  filter.label(tagged).load(2, VLAN_TAG_BYTES - 2)
  ipPacket(filter, listeners, VLAN_TAG_BYTES, taken, refused)
  filter.label(taken).accept()
  return filter.label(refused).reject()
}

function onInterfaces(filter: SocketFilter, interfaces: readonly RingInterface[], refused: Label): void {
  const wanted = Symbol('wanted')
  const untagged = Symbol('untagged')
  filter.load(4, AD_IFINDEX)
  for (const { index, untaggedOnly } of interfaces) filter.ifEqual(index, untaggedOnly ? untagged : wanted)
  filter.jump(refused)
  filter.label(untagged).load(4, AD_VLAN_TAG_PRESENT).ifNotEqual(0, refused)
  filter.label(wanted)
}

/** A is the EtherType of the packet at `at`. Never falls through. */
function ipPacket(
  filter: SocketFilter,
  listeners: readonly Listener[],
  at: number,
  taken: Label,
  refused: Label,
): void {
  const ipv4 = Symbol('ipv4')
  const ipv6 = Symbol('ipv6')
  filter.ifEqual(ETHERTYPE_IPV4, ipv4).ifEqual(ETHERTYPE_IPV6, ipv6).jump(refused)
  filter.label(ipv4)
  ipv4Packet(filter, ofFamily(listeners, AF_INET), at, taken, refused)
  filter.label(ipv6)
  ipv6Packet(filter, ofFamily(listeners, AF_INET6), at, taken, refused)
}

function ipv4Packet(filter: SocketFilter, groups: readonly Group[], at: number, taken: Label, refused: Label): void {
  forDestinations(filter, groups, at + IPV4_DESTINATION, refused, (group, next) => {
    const udp = Symbol('udp')
    filter.load(1, at + IPV4_PROTOCOL)
    for (const protocol of group.protocols) filter.ifEqual(protocol, taken)
    filter.ifEqual(IPPROTO_UDP, udp).jump(next)
    // Fragments behind a second VLAN tag; the kernel has put all others together.
    filter
      .label(udp)
      .load(2, at + IPV4_FRAGMENT)
      .ifAnyBit(IPV4_ANY_FRAGMENT, taken)
    filter.measureIpv4Header(at).loadBehindHeader(2, at + DESTINATION_PORT)
    for (const port of group.ports) filter.ifEqual(port, taken)
    filter.jump(next)
  })
}

function ipv6Packet(filter: SocketFilter, groups: readonly Group[], at: number, taken: Label, refused: Label): void {
  forDestinations(filter, groups, at + IPV6_DESTINATION, refused, (group, next) => {
    const udp = Symbol('udp')
    const fragment = Symbol('fragment')
    filter
      .load(1, at + IPV6_NEXT_HEADER)
      .ifEqual(IPPROTO_UDP, udp)
      .ifEqual(IPV6_FRAGMENT, fragment)
    for (const protocol of [...group.protocols, ...IPV6_OTHER_EXTENSIONS]) filter.ifEqual(protocol, taken)
    filter.jump(next)
    filter.label(fragment).load(1, at + IPV6_HEADER_BYTES)
    for (const protocol of [IPPROTO_UDP, ...group.protocols, ...IPV6_OTHER_EXTENSIONS]) filter.ifEqual(protocol, taken)
    filter.jump(next)
    filter.label(udp).load(2, at + IPV6_HEADER_BYTES + DESTINATION_PORT)
    for (const port of group.ports) filter.ifEqual(port, taken)
    filter.jump(next)
  })
}

/** The listeners of one address. */
interface Group {
  /** The address as 32-bit words; empty = any. */
  readonly destination: readonly number[]
  readonly ports: readonly number[]
  /** IP protocols that are tunnels themselves. */
  readonly protocols: readonly number[]
}

function ofFamily(listeners: readonly Listener[], family: number): Group[] {
  const groups = new Map<string, { destination: number[]; ports: number[]; protocols: number[] }>()
  for (const { host, port, encapsulation } of listeners) {
    if (host !== undefined && addressFamily(host) !== family) continue
    const destination = host === undefined ? [] : words(host)
    const any = destination.every((word) => word === 0)
    const group = groups.get(`${any || destination}`) ?? {
      destination: any ? [] : destination,
      ports: [],
      protocols: [],
    }
    groups.set(`${any || destination}`, group)
    const { ipProtocol } = ENCAPSULATIONS[encapsulation]!
    if (ipProtocol === undefined) group.ports.push(port)
    else group.protocols.push(ipProtocol)
  }
  return [...groups.values()]
}

/** Tries group after group: `body` goes on at `next` where the packet is none of its group's. */
function forDestinations(
  filter: SocketFilter,
  groups: readonly Group[],
  destinationAt: number,
  refused: Label,
  body: (group: Group, next: Label) => void,
): void {
  for (const group of groups) {
    const next = Symbol('next')
    group.destination.forEach((word, i) => {
      filter.load(4, destinationAt + 4 * i).ifNotEqual(word, next)
    })
    body(group, next)
    filter.label(next)
  }
  filter.jump(refused)
}

/** The zone is left out: its interface may go and come, and what its number says the ring's interfaces do. */
function words(host: string): number[] {
  const [address = ''] = host.split('%')
  const bytes = new Uint8Array(SOCKADDR_BYTES)
  writeSocketAddress(bytes, 0, address, 0)
  const view = new DataView(bytes.buffer, addressOffset(bytes, 0))
  const count = addressFamily(address) === AF_INET ? 1 : 4
  return Array.from({ length: count }, (_, i) => view.getUint32(4 * i))
}
