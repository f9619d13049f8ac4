/** What a frame of a flow is made of; headers are written byte by byte from RFC 791, 8200, 793 and 768. */
export interface FlowOf {
  readonly protocol: number
  readonly source: string
  readonly destination: string
  /** The first bytes behind the IP header. */
  readonly transport: Uint8Array
  /** EtherTypes and tags in front of the network header's own, in hexadecimal. */
  readonly tags?: string
  /** IPv4's flags and fragment offset. */
  readonly fragment?: number
}

/** An IPv4 or IPv6 address as bytes. */
export function addressBytes(text: string): Uint8Array {
  if (text.includes('.')) return Uint8Array.from(text.split('.').map(Number))
  const [head = '', tail = ''] = text.split('::')
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => Number(`0x${group}`)))
  const [front, back] = [groups(head), groups(tail)]
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

export function words(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff]))
}

export function frameOf({ protocol, source, destination, transport, tags = '', fragment = 0 }: FlowOf): Uint8Array {
  const addresses = [...addressBytes(source), ...addressBytes(destination)]
  const isIpv4 = addresses.length === 8
  const header = isIpv4
    ? [0x45, 0, ...words(20 + transport.length, 0, fragment), 64, protocol, 0, 0]
    : [0x60, 0, 0, 0, ...words(transport.length), protocol, 64]
  const link = Buffer.from(`020000000001020000000002${tags}${isIpv4 ? '0800' : '86dd'}`, 'hex')
  return Uint8Array.from([...link, ...header, ...addresses, ...transport])
}
