import { output } from './tshark.ts'

/** Where tshark sees the headers of a frame end; behind a layer that it does not see, where the one before ends. */
export interface HeaderEnds {
  l2: number
  l3: number
  l4: number
}

interface Layer {
  readonly name: string
  readonly at: number
  readonly bytes: number
}

/** Layers that have no end of their own in tshark's view: it counts what they carry to them. Bytes of header by RFC 792, 4443, 9260, 826. */
const FIXED: Readonly<Record<string, number>> = { icmp: 8, icmpv6: 8, sctp: 12, arp: 28 }

/** The ends in each frame of a capture, by tshark's dissection of each frame by itself. */
export function headerEndsOf(file: string): HeaderEnds[] {
  const alone = ['ip.defragment:FALSE', 'ipv6.defragment:FALSE', 'tcp.desegment_tcp_streams:FALSE']
  const pdml = output('tshark', '-n', ...alone.flatMap((preference) => ['-o', preference]), '-r', file, '-T', 'pdml')
  return pdml
    .split('<packet>')
    .slice(1)
    .map((packet) =>
      headerEnds([...packet.matchAll(/^ {2,4}<proto name="([^"]+)" .*?size="(\d+)" pos="(\d+)"/gm)].map(layer)),
    )
}

function layer([, name, bytes, at]: RegExpMatchArray): Layer {
  return { name: name!, at: Number(at), bytes: FIXED[name!] ?? Number(bytes) }
}

function headerEnds(layers: readonly Layer[]): HeaderEnds {
  let next = layers.findIndex(({ name }) => name === 'eth') + 1
  let l2 = 14
  while (['vlan', 'ieee8021ad'].includes(layers[next]?.name ?? '')) l2 = end(layers[next++]!)
  let l3 = l2
  if (layers[next]?.name === 'arp') return { l2, l3: end(layers[next]!), l4: end(layers[next]!) }
  if (!['ip', 'ipv6'].includes(layers[next]?.name ?? '')) return { l2, l3, l4: l3 }
  l3 = end(layers[next++]!)
  // tshark counts extension headers to IPv6, but not the fragment header of a later fragment.
  while (layers[next]?.name.startsWith('ipv6.')) l3 = Math.max(l3, end(layers[next++]!))
  const known = ['tcp', 'udp', 'udplite', 'icmp', 'icmpv6', 'sctp'].includes(layers[next]?.name ?? '')
  return { l2, l3, l4: known ? end(layers[next]!) : l3 }
}

function end({ at, bytes }: Layer): number {
  return at + bytes
}
